"""Whole videos that were judged wrongly once, through the sandbox to the closing message."""

import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from ingest.faces import Face, FaceDetector, build_face_detector
from ingest.memory_publisher import MemoryPublisher
from ingest.pipeline import ingest_video
from ingest.sources import open_source
from tests.integration.ingest.decoding.test_odd_clocks import joined, two_streams
from tests.unit.ingest.clips import numbered, panning, portrait, write_clip
from unmask.arrays import Images
from unmask.errors import MediaRefused, ReasonCode
from unmask.messages import IngestClosed, PluginRef, Streams, Submission
from unmask.settings import Settings
from workers.verdicts.windows import windows_of

SETTINGS = Settings()
SOLA = PluginRef(key="sola", weights="0123456789ab")


class Anywhere:
    """Finds one face on every frame, always in the same place."""

    name, weak = "anywhere", False

    def detect(self, rgb: Images) -> list[Face]:
        return [Face(box=(20, 20, 80, 80), score=0.9)]


class Crowd(Anywhere):
    """Finds 40 x 22 faces on every frame."""

    def detect(self, rgb: Images) -> list[Face]:
        return [
            Face(box=(30 * x, 30 * y, 30 * x + 48 + x, 30 * y + 48), score=0.9)
            for x in range(40)
            for y in range(22)
        ]


@pytest.fixture(scope="module")
def mtcnn() -> FaceDetector:
    return build_face_detector("mtcnn", SETTINGS)


def ingested(
    path: Path,
    detector: FaceDetector | None = None,
    *,
    sample: str = "uniform:8",
    streams: Streams = "shown",
    settings: Settings = SETTINGS,
    max_looks: int = 4000,
    max_crops: int = 8000,
) -> tuple[IngestClosed, MemoryPublisher]:
    publisher = MemoryPublisher()
    submission = Submission(
        job_id="job",
        path=str(path),
        filename=path.name,
        sample=sample,
        streams=streams,
        max_looks=max_looks,
        max_crops=max_crops,
        plugins=(SOLA,),
        crop_scale=1.6,
    )
    # As it comes through the queue.
    submission = Submission.model_validate_json(submission.model_dump_json())
    closed = ingest_video(
        submission, settings=settings, publisher=publisher, face_detector=detector or Anywhere()
    )
    publisher.close(closed)
    return closed, publisher


def codes(closed: IngestClosed) -> list[ReasonCode]:
    return [note.code for note in closed.notes]


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "mov_text"), ("mkv", "srt"), ("mkv", "ass"), ("webm", "webvtt")]
)
def test_subtitles_change_nothing(tmp_path: Path, suffix: str, codec: str) -> None:
    video = "libvpx" if suffix == "webm" else "libx264"
    plain = write_clip(tmp_path / f"plain.{suffix}", numbered(20), codec=video)
    texts = tmp_path / "texts.srt"
    texts.write_text(
        "1\n00:00:00,100 --> 00:00:00,500\nHello\n\n2\n00:00:00,500 --> 00:00:00,700\nyou\n"
    )
    both = tmp_path / f"both.{suffix}"
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg here to add subtitles with: apt-get install ffmpeg")
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(plain),
        "-i",
        str(texts),
        "-map",
        "0",
        "-map",
        "1",
    ]
    subprocess.run([*command, "-c:v", "copy", "-c:s", codec, str(both)], check=True, timeout=120)
    one, other = ingested(plain)[0], ingested(both)[0]
    assert other.error is None
    assert other.coverage == one.coverage
    assert other.tracks == one.tracks


def test_streams_beside_the_shown_one_are_named_and_judged_on_request(tmp_path: Path) -> None:
    clip = two_streams(tmp_path / "two.mkv", ((128, 128), (160, 160), (96, 96)), 1)
    closed, _ = ingested(clip)
    assert closed.media is not None
    assert [s.outcome for s in closed.media.streams] == ["passed_over", "judged", "passed_over"]
    assert codes(closed) == [ReasonCode.OTHER_STREAMS]
    assert closed.coverage.sampled == 8
    every, publisher = ingested(clip, streams="all")
    assert every.media is not None
    assert [s.outcome for s in every.media.streams] == ["judged"] * 3
    assert codes(every) == []
    assert every.coverage.sampled == every.coverage.scored == 24
    assert [t.id for t in every.tracks] == [1, 2, 3]
    assert [t.person for t in every.tracks] == [1, 2, 3]
    assert len(publisher.crops) == every.crops == 24


def test_joints_are_said_once_and_are_no_damage(tmp_path: Path) -> None:
    parts = [
        write_clip(tmp_path / f"{at}.ts", numbered(25), mux={"output_ts_offset": at})
        for at in ("7200", "0")
    ]
    closed, _ = ingested(joined(tmp_path / "cat.ts", *parts))
    assert closed.error is None
    assert closed.media is not None
    assert closed.media.duration_ms == pytest.approx(2000, abs=80)
    assert codes(closed) == [ReasonCode.CLOCK_RESET]


def test_a_size_that_changes_is_one_person_in_one_picture(
    tmp_path: Path, mtcnn: FaceDetector
) -> None:
    wide = write_clip(tmp_path / "a.ts", [portrait(110, (400, 240))] * 25)
    high = write_clip(tmp_path / "b.ts", [portrait(110, (240, 400))] * 25)
    closed, _ = ingested(joined(tmp_path / "rc.ts", wide, high), mtcnn)
    assert closed.media is not None
    assert (closed.media.width, closed.media.height) == (400, 400)
    assert {track.person for track in closed.tracks} == {1}
    assert sum(track.crops for track in closed.tracks) >= 7
    assert ReasonCode.SIZE_CHANGES in codes(closed)
    assert len(codes(closed)) == len(set(codes(closed)))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_video_turned_in_its_pixels_gives_the_crops_of_the_upright_one(
    tmp_path: Path, mtcnn: FaceDetector, turns: int
) -> None:
    frames = panning(12, 90)
    lossless = {"crf": "0", "preset": "ultrafast"}
    upright = write_clip(tmp_path / "up.mp4", frames, options=lossless)
    turned = write_clip(tmp_path / "t.mp4", [np.rot90(f, -turns) for f in frames], options=lossless)
    (one, crops), (other, turned_crops) = ingested(upright, mtcnn), ingested(turned, mtcnn)
    assert [track.turned_deg for track in one.tracks] == [0]
    assert [track.turned_deg for track in other.tracks] == [(360 - 90 * turns) % 360]
    assert not other.tracks[0].sideways
    assert crops.crops.keys() == turned_crops.crops.keys()
    for key, (meta, pixels) in crops.crops.items():
        turned_meta, turned_pixels = turned_crops.crops[key]
        assert abs(turned_meta.width - meta.width) <= 2
        same = cv2.resize(turned_pixels, pixels.shape[1::-1]).astype(int)
        assert np.abs(same - pixels.astype(int)).mean() < 12


def test_a_tag_that_lays_an_upright_picture_on_its_side_changes_no_crop(
    tmp_path: Path, mtcnn: FaceDetector
) -> None:
    frames = panning(12, 90)
    (one, plain), (other, tagged) = (
        ingested(write_clip(tmp_path / f"{tag}.mp4", frames, rotation=tag), mtcnn)
        for tag in (0, 90)
    )
    assert other.media is not None
    assert other.media.rotation_deg == 270
    assert [track.turned_deg for track in other.tracks] == [90]
    assert len(one.tracks) == 1
    for key, (_, pixels) in plain.crops.items():
        assert np.array_equal(pixels, tagged.crops[key][1])


def test_a_face_that_cannot_be_told_upright_is_said_so(tmp_path: Path) -> None:
    class Unsure(Anywhere):
        """As sure of a face in one direction as in any other."""

        upright_score = 0.99
        tilt_weight = 0.0

    closed, _ = ingested(write_clip(tmp_path / "a.mp4", numbered(20)), Unsure())
    assert [track.sideways for track in closed.tracks if track.faces > 2] != []
    assert all(track.sideways for track in closed.tracks)


def test_a_photo_shown_as_a_video_has_one_person(tmp_path: Path, mtcnn: FaceDetector) -> None:
    photo = np.ascontiguousarray(astronaut()[:400, 60:460])
    frames = [np.roll(photo, n, axis=1) for n in range(30)]
    closed, _ = ingested(write_clip(tmp_path / "photo.mp4", frames), mtcnn, sample="uniform:30")
    assert {t.person for t in closed.tracks if t.person is not None} == {1}


@pytest.mark.parametrize("name", [b"a\xffb.mp4", b"\xe9t\xe9.mp4", b"-x\n\xf0.mp4"])
def test_a_name_of_any_bytes_is_only_a_name(tmp_path: Path, name: bytes) -> None:
    plain = write_clip(tmp_path / "plain.mp4", numbered(5))
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    plain.rename(odd)
    closed, _ = ingested(odd)
    assert closed.error is None
    assert closed.coverage.scored == 5
    closed.model_dump_json()


def test_a_link_that_leads_to_itself_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    closed, _ = ingested(tmp_path / "loop.mp4")
    assert closed.error is not None
    assert closed.error.code is ReasonCode.NOT_READABLE


def test_a_refused_folder_leaves_no_file_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(MediaRefused):
            open_source(tmp_path, SETTINGS)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_animated_webp_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF\x64\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0" + bytes(80))
    closed, _ = ingested(path)
    assert closed.error is not None
    assert closed.error.code is ReasonCode.UNSUPPORTED_MEDIA
    assert "animated WebP" in closed.error.message


def test_a_huge_gif_of_few_bytes_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "huge.gif"
    screen = b"\x0c\x17\x0c\x17\x80\0\0\x00\x00\x00\xff\xff\xff"
    picture = b"\x21\xf9\x04\0\x02\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    path.write_bytes(b"GIF89a" + screen + picture * 2000 + b"\x3b")
    closed, _ = ingested(path, settings=Settings(decode_timeout_s=60.0))
    assert closed.error is not None
    assert closed.error.code is ReasonCode.TOO_MANY_PIXELS


def test_of_a_crowd_so_many_are_cropped_and_the_others_counted(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "crowd.mp4", [np.full((720, 1280, 3), 90, np.uint8)] * 8)
    closed, publisher = ingested(clip, Crowd(), sample="all")
    coverage = closed.coverage
    assert len(publisher.crops) == closed.crops == 8 * 16
    assert coverage.faces_found == 8 * 880
    assert coverage.faces_left_out == coverage.faces_found - closed.crops
    few, publisher = ingested(clip, Crowd(), sample="all", max_crops=50)
    assert len(publisher.crops) == few.crops == 50
    assert few.coverage.scored == 8  # no look goes without


def test_a_face_for_most_of_the_time_is_judged_though_most_frames_show_none(tmp_path: Path) -> None:
    """A screen recording: a minute with a face at half a frame per second, ten seconds without at 60."""

    class Bright(Anywhere):
        def detect(self, rgb: Images) -> list[Face]:
            return super().detect(rgb) if rgb.mean() > 128 else []

    pictures = [np.full((96, 128, 3), 200 - 3 * (i % 2), np.uint8) for i in range(30)]
    pictures += [np.full((96, 128, 3), 30, np.uint8)] * 600
    times = [2000 * i for i in range(30)] + [60_000 + round(i * 1000 / 60) for i in range(600)]
    clip = write_clip(tmp_path / "vfr.mp4", pictures, times_ms=times)
    closed, _ = ingested(clip, Bright(), sample="adaptive")
    (track,) = closed.tracks
    assert track.crops == closed.coverage.scored == 30
    assert closed.media is not None and closed.media.duration_ms is not None
    assert 69_900 <= closed.media.duration_ms <= 70_100
    spans = windows_of([2000 * i for i in range(30)], closed.cuts_ms, 5)
    assert spans and (spans[0].start_ms, max(s.end_ms for s in spans)) == (0, 58_000)


def test_every_frame_of_very_many_is_bounded_by_the_policy(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "many.mp4", numbered(600, 64, 64), rate=60, gop=60)
    closed, _ = ingested(clip, sample="all", max_looks=50)
    assert closed.coverage.sampled == 50
    assert closed.crops <= 50
