"""A rendition is the video as it was judged: frame for frame, at its own times, upright, bounded."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ingest.decoding.events import Rendered, Rendering
from ingest.sandbox.parent import Decoding, Encode
from ingest.sources import open_source
from tests.unit.ingest.clips import cut_short, number_in, numbered, write_clip
from unmask.errors import DecodeFailed
from unmask.plugin import Images
from unmask.settings import Settings

SETTINGS = Settings()
HEVC = {"x265-params": "log-level=none:pools=1"}
Made = tuple[list[Rendering | Rendered], Path, tuple[str, ...]]


def render(source_path: Path, into: Path, **wish: int | float | None) -> Made:
    """What was told, the file, and the locks that held."""
    with into.open("wb") as file, open_source(source_path, SETTINGS) as source:
        limits: dict[str, int | float | None] = {"max_frames": 1000, "max_bytes": 1 << 28}
        encode = Encode(descriptor=file.fileno(), **({"seconds": 600.0} | limits | wish))  # type: ignore[arg-type]
        with Decoding(source, "all", SETTINGS, encode=encode) as decoding:
            told = list(decoding.rendering())
            return told, into, decoding.held


def shown(path: Path) -> list[tuple[int, Images]]:
    """(milliseconds, RGB) of every frame."""
    with av.open(str(path)) as media:
        video = media.streams.video[0]
        assert (media.format.name, video.codec.name) == ("matroska,webm", "vp9")
        assert not media.streams.audio
        return [
            (round(float(frame.pts * video.time_base) * 1000), frame.to_ndarray(format="rgb24"))
            for frame in media.decode(video)
        ]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.mkv", "libx265", HEVC), ("a.avi", "mpeg4", {}), ("a.ts", "mpeg2video", {})],
)
def test_what_browsers_cannot_play_is_made_frame_for_frame(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    clip = write_clip(tmp_path / name, numbered(30, 320, 240), codec=codec, options=options)
    told, path, held = render(clip, tmp_path / "out.webm")
    assert "limits" in held and ("landlock" not in held or "sealed" in held)
    assert told[-1] == Rendered(frames=30, start_ms=0, end_ms=1160, whole=True)
    assert told[0] == Rendering(done=25, of=30)
    frames = shown(path)
    assert [at for at, _ in frames] == [40 * i for i in range(30)]
    assert [number_in(rgb) for _, rgb in frames] == list(range(30))


def test_it_keeps_each_frames_own_time(tmp_path: Path) -> None:
    times = [0, 40, 500, 520, 1700]
    clip = write_clip(tmp_path / "a.mkv", numbered(5), times_ms=times, gop=2)
    _, path, _ = render(clip, tmp_path / "out.webm")
    assert [at for at, _ in shown(path)] == times


def test_it_stands_upright_in_square_pixels_and_is_no_larger_than_720_lines(
    tmp_path: Path,
) -> None:
    clip = write_clip(
        tmp_path / "a.mp4", numbered(2, 1600, 1200), rotation=90, pixel_aspect=Fraction(4, 3)
    )
    _, path, _ = render(clip, tmp_path / "out.webm")
    height, width, _ = shown(path)[0][1].shape
    assert (width, height) == (720, 1280)


def test_a_stretch_begins_at_nought(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", numbered(60), codec="libx265", options=HEVC)
    told, path, _ = render(clip, tmp_path / "out.webm", start_ms=810, end_ms=1210)
    assert told[-1] == Rendered(frames=10, start_ms=840, end_ms=1200, whole=True)
    frames = shown(path)
    assert [at for at, _ in frames] == [40 * i for i in range(10)]
    assert [number_in(rgb) for _, rgb in frames] == list(range(21, 31))


@pytest.mark.parametrize("wish", [{"max_bytes": 1}, {"seconds": 0.0}])
def test_at_a_limit_it_ends_early_and_says_so(tmp_path: Path, wish: dict[str, float]) -> None:
    clip = write_clip(tmp_path / "a.avi", numbered(40), codec="mpeg4")
    told, path, _ = render(clip, tmp_path / "out.webm", **wish)
    last = told[-1]
    assert isinstance(last, Rendered) and not last.whole
    assert len(shown(path)) == last.frames if last.frames else True


def test_of_very_many_frames_some_are_shown(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", numbered(50))
    told, path, _ = render(clip, tmp_path / "out.webm", max_frames=10)
    assert isinstance(told[-1], Rendered) and told[-1].frames == 10
    times = [at for at, _ in shown(path)]
    assert times[0] == 0 and np.ptp(np.diff(times)) <= 40


def test_what_cannot_be_decoded_is_a_reason(tmp_path: Path) -> None:
    broken = cut_short(write_clip(tmp_path / "a.mp4", numbered(30)), 0.5)
    with pytest.raises(DecodeFailed):
        render(broken, tmp_path / "out.webm")


def test_the_encoder_can_write_to_nothing_but_the_file_it_was_given(tmp_path: Path) -> None:
    code = """
import os, sys
from ingest.sandbox.confine import confine
fd = os.open(sys.argv[1], os.O_WRONLY)
held = confine(4 << 30, 60, write_bytes=1000)
print(held)
assert os.write(fd, b"x" * 900) == 900
try:
    assert os.write(fd, b"x" * 900) == 100
    os.write(fd, b"x")
except OSError as error:
    print("too long:", error.errno)
for mode in ("wb", "r+b"):
    try:
        open(sys.argv[2], mode).write(b"x")
    except OSError as error:
        print("refused:", error.errno)
"""
    import subprocess
    import sys

    given, other = tmp_path / "given", tmp_path / "other"
    given.touch()
    other.write_bytes(b"as it was")
    ran = subprocess.run(
        [sys.executable, "-c", code, str(given), str(other)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert given.stat().st_size == 1000
    assert "too long: 27" in ran.stdout
    if "landlock" in ran.stdout:
        assert ran.stdout.count("refused: 13") == 2
        assert other.read_bytes() == b"as it was"
    assert os.access(given, os.R_OK)
