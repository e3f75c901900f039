"""Frames, exact and with their true times, from every kind of container."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.decoding.decode import Finished, Frame, Limits, Opened, decode
from ingest.decoding.sampling import parse_policy
from ingest.sources import sniff
from tests.unit.ingest.clips import cut_short, number_in, numbered, spoil, write_clip
from unmask.errors import DecodeFailed, MediaRefused, ReasonCode

LIMITS = Limits(max_pixels=8192 * 4320, max_seconds=3600.0, max_frames=100_000)


def decoded(
    path: Path, policy: str = "all", limits: Limits = LIMITS, *, seek: bool = True
) -> tuple[Opened, list[Frame], Finished]:
    data = path.read_bytes()
    events = list(
        decode(BytesIO(data), sniff(data[:4096], "x"), parse_policy(policy), limits, seek=seek)
    )
    assert isinstance(events[0], Opened)
    assert isinstance(events[-1], Finished)
    return events[0], [e for e in events if isinstance(e, Frame)], events[-1]


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        ("mp4", "libx264", {"bf": "3"}),
        ("mkv", "libx265", {"x265-params": "log-level=none"}),
        ("webm", "libvpx-vp9", {}),
        ("webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "12"}),
        ("mkv", "libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}),
        ("ts", "libx264", {"bf": "2"}),
        ("avi", "mpeg4", {"bf": "2"}),
        ("mpg", "mpeg2video", {"bf": "2"}),
        ("flv", "flv1", {}),
        ("gif", "gif", {}),
        ("ogg", "libvpx", {}),
    ],
)
def test_uniform_gives_the_very_frames_it_names(
    tmp_path: Path, suffix: str, codec: str, options: dict[str, str]
) -> None:
    clip = write_clip(tmp_path / f"x.{suffix}", numbered(40), codec=codec, options=options)
    opened, frames, finished = decoded(clip, "uniform:7")
    assert (opened.frames, opened.sampled, finished.delivered) == (40, 7, 7)
    assert [f.index for f in frames] == [0, 7, 13, 20, 26, 33, 39]
    assert [number_in(f.rgb) for f in frames] == [0, 7, 13, 20, 26, 33, 39]
    assert [f.pts_ms for f in frames] == [i * 40 for i in (0, 7, 13, 20, 26, 33, 39)]


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    return write_clip(folder / "long.mp4", numbered(300), gop=25, options={"bf": "3"})


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    policy=st.sampled_from(
        ["uniform:2", "uniform:5", "uniform:9", "uniform:31", "fps:0.7", "fps:3"]
    )
)
def test_jumping_to_the_targets_gives_the_same_pixels_as_decoding_all(
    long_clip: Path, policy: str
) -> None:
    _, jumped, less = decoded(long_clip, policy)
    _, walked, more = decoded(long_clip, policy, seek=False)
    assert [(f.index, f.pts_ms) for f in jumped] == [(f.index, f.pts_ms) for f in walked]
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(jumped, walked, strict=True))
    assert less.decoded <= more.decoded


def test_few_frames_of_a_long_video_cost_few_decoded_frames(long_clip: Path) -> None:
    _, _, finished = decoded(long_clip, "uniform:4")
    assert finished.decoded < 150


def test_an_open_gop_is_jumped_into_without_a_difference(tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "open.mkv",
        numbered(120),
        gop=20,
        options={"bf": "3", "x264-params": "open-gop=1:scenecut=0"},
    )
    _, jumped, _ = decoded(clip, "uniform:8")
    _, walked, _ = decoded(clip, "uniform:8", seek=False)
    assert len(jumped) == 8
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(jumped, walked, strict=True))


def test_a_variable_frame_rate_keeps_its_true_times(tmp_path: Path) -> None:
    times = [0, 40, 80, 500, 540, 900, 1000, 1100, 1101, 1300, 2000, 2100]
    clip = write_clip(tmp_path / "vfr.mp4", numbered(12), times_ms=times)
    opened, frames, _ = decoded(clip)
    assert [f.pts_ms for f in frames] == times
    assert [number_in(f.rgb) for f in frames] == list(range(12))
    assert opened.duration_ms == 2200
    _, chosen, _ = decoded(clip, "fps:2")
    assert [f.pts_ms for f in chosen] == [0, 500, 1000, 2000]


@pytest.mark.parametrize(("angle", "clockwise"), [(0, 0), (-90, 90), (180, 180), (90, 270)])
def test_a_rotated_phone_video_comes_out_upright(
    tmp_path: Path, angle: int, clockwise: int
) -> None:
    upright = np.full((160, 96, 3), 30, dtype=np.uint8)
    upright[:48, :48] = (230, 40, 40)
    stored = np.rot90(upright, k=clockwise // 90)
    clip = write_clip(tmp_path / "phone.mp4", [stored] * 3, rotation=angle)
    opened, frames, _ = decoded(clip)
    assert opened.rotation_deg == clockwise
    assert (opened.height, opened.width) == frames[0].rgb.shape[:2] == (160, 96)
    assert frames[0].rgb[20, 20, 0] > 180 > 90 > frames[0].rgb[140, 80, 0]


def test_keyframes_are_the_keyframes(tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "k.mp4", numbered(60), gop=20, options={"x264-params": "scenecut=0"}
    )
    _, frames, _ = decoded(clip, "keyframes")
    assert [number_in(f.rgb) for f in frames] == [0, 20, 40]


def test_one_frame_is_a_video_too(tmp_path: Path) -> None:
    opened, frames, _ = decoded(write_clip(tmp_path / "one.mp4", numbered(1)), "uniform:32")
    assert (opened.sampled, len(frames), opened.duration_ms) == (1, 1, 40)


def test_damage_in_the_middle_is_counted_and_what_builds_on_it_left_out(tmp_path: Path) -> None:
    clip = spoil(write_clip(tmp_path / "c.mp4", numbered(60), gop=10), (0.4, 0.5))
    opened, frames, finished = decoded(clip)
    assert opened.sampled == 60
    assert 20 <= len(frames) == finished.delivered < 60
    assert finished.corrupt_packets > 0
    # What is left is whole: every frame shows its own number, after the damage too.
    assert [number_in(f.rgb) for f in frames] == [f.index for f in frames]
    assert frames[-1].index == 59


def test_a_file_cut_short_gives_what_it_has_and_says_what_is_missing(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "t.mp4", numbered(60), mux={"movflags": "faststart"})
    opened, frames, _ = decoded(cut_short(whole, 0.7))
    assert opened.missing + opened.frames == 60
    assert 0 < len(frames) <= opened.frames < 60
    assert [number_in(f.rgb) for f in frames] == [f.index for f in frames]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_file_cut_before_its_index_is_truncated(tmp_path: Path, share: float) -> None:
    with pytest.raises(DecodeFailed) as failed:
        decoded(cut_short(write_clip(tmp_path / "t.mp4", numbered(60)), share))
    assert failed.value.code is ReasonCode.TRUNCATED
    assert "Upload" in failed.value.fix


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(MediaRefused) as refused:
        decoded(write_clip(tmp_path / "sound.mp4", [], audio_s=1.0))
    assert refused.value.code is ReasonCode.NO_VIDEO_STREAM


def test_sound_beside_the_picture_changes_nothing(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "both.mp4", numbered(20), audio_s=1.0)
    _, frames, _ = decoded(clip, "uniform:4")
    assert [number_in(f.rgb) for f in frames] == [0, 6, 13, 19]


def test_limits_refuse_before_a_frame_is_decoded(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "x.mp4", numbered(50))
    for change, code in (
        ({"max_pixels": 160 * 120 - 1}, ReasonCode.TOO_MANY_PIXELS),
        ({"max_seconds": 1.9}, ReasonCode.TOO_LONG),
        ({"max_frames": 49}, ReasonCode.TOO_LONG),
    ):
        given = {"max_pixels": 160 * 120, "max_seconds": 2.0, "max_frames": 50} | change
        with pytest.raises(MediaRefused) as refused:
            decoded(clip, "all", Limits(**given))
        assert refused.value.code is code


def test_a_size_that_changes_half_way_stays_in_one_coordinate_system(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "a.ts", numbered(10)).read_bytes()
    large = write_clip(tmp_path / "b.ts", numbered(10, 320, 240)).read_bytes()
    both = tmp_path / "both.ts"
    both.write_bytes(small + large)
    opened, frames, _ = decoded(both)
    assert {f.rgb.shape for f in frames} == {(opened.height, opened.width, 3)} == {(240, 320, 3)}
    assert len(frames) >= 15


def test_the_same_file_decodes_to_the_same_pixels(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "x.mp4", numbered(30))
    _, one, _ = decoded(clip, "uniform:9")
    _, two, _ = decoded(clip, "uniform:9")
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(one, two, strict=True))
