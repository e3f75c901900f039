"""Odd files, made here with a number drawn into every picture: index, time and picture agree.

What the pictures are to show comes from the numbers, what times they have from ffprobe, which reads
the same files with another build of FFmpeg.
"""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from ingest.decoding.decode import Finished, Frame, Limits, Opened, decode
from ingest.decoding.sampling import parse_policy
from ingest.sources import sniff
from tests.unit.ingest.clips import number_in, numbered
from unmask.arrays import Images

LIMITS = Limits(max_pixels=8192 * 4320, max_seconds=3600.0, max_frames=100_000)
COUNT = 26
SMOOTH = [40 * n for n in range(COUNT)]
UNEVEN = [40 * n + 13 * (n % 3) + (400 if n > 11 else 0) for n in range(COUNT)]
X265 = {"x265-params": "log-level=none:pools=1"}
AV1 = {"preset": "12", "svtav1-params": "lp=1"}


@dataclass(frozen=True)
class Odd:
    """How one file is made."""

    suffix: str
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    times_ms: Sequence[int] = tuple(SMOOTH)
    pixels: str = "yuv420p"
    mux: dict[str, str] = field(default_factory=dict)
    format: str | None = None
    size: tuple[int, int] = (160, 120)
    rate: Fraction = Fraction(25)
    gop: int = 8
    before: Callable[[av.container.OutputContainer], Callable[[], None]] | None = None
    """Adds another stream in front of the video; what it returns fills it."""
    probed: bool = True
    """Whether ffprobe of Debian 12 can read it."""
    within_ms: float = 1.0


def cover(out: av.container.OutputContainer) -> Callable[[], None]:
    """A small picture stream that is number 0 and not the default one."""
    stream = out.add_stream("mjpeg", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
    stream.disposition = 0
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 200, np.uint8), format="rgb24")
    frame = frame.reformat(format="yuvj420p")
    frame.pts, frame.time_base = 0, Fraction(1, 25)

    def fill() -> None:
        for packet in [*stream.encode(frame), *stream.encode()]:
            out.mux(packet)

    return fill


SEEN = {
    "mp4 without B frames": Odd("mp4", options={"bf": "0"}),
    "mp4 with three B frames": Odd("mp4", options={"bf": "3"}),
    "mp4, one picture per group": Odd("mp4", gop=1),
    "mp4, one group": Odd("mp4", gop=300),
    "mp4, open groups": Odd("mp4", options={"bf": "3", "x264-params": "open-gop=1:scenecut=0"}),
    "mp4 in fragments": Odd("mp4", mux={"movflags": "frag_keyframe+empty_moov"}),
    "mp4, index in front": Odd("mp4", mux={"movflags": "faststart"}),
    "mp4 hevc": Odd("mp4", "libx265", X265),
    "mp4 hevc, 10 bit": Odd("mp4", "libx265", X265, pixels="yuv420p10le"),
    "mp4 av1": Odd("mp4", "libsvtav1", AV1),
    "mp4 mpeg4": Odd("mp4", "mpeg4", {"bf": "2"}),
    "mp4, 10 bit": Odd("mp4", pixels="yuv420p10le"),
    "mp4, full chroma": Odd("mp4", pixels="yuv444p"),
    "mp4, 4:2:2": Odd("mp4", pixels="yuv422p"),
    "mp4, uneven times": Odd("mp4", times_ms=UNEVEN),
    "mp4, uneven times and B frames": Odd("mp4", options={"bf": "3"}, times_ms=UNEVEN),
    "mp4 that begins at 3 s": Odd("mp4", times_ms=[3000 + t for t in SMOOTH]),
    "mp4, 30000/1001": Odd("mp4", rate=Fraction(30000, 1001), times_ms=()),
    "mp4, 60 a second": Odd("mp4", rate=Fraction(60), times_ms=()),
    "m4v": Odd("m4v", "mpeg4", format="mp4"),
    "3gp": Odd("3gp", "mpeg4", size=(176, 144)),
    "mov mjpeg": Odd("mov", "mjpeg", pixels="yuvj420p"),
    "mov prores": Odd("mov", "prores_ks", pixels="yuv422p10le"),
    "mov lossless animation": Odd("mov", "qtrle", pixels="rgb24"),
    "mov with a picture as stream 0": Odd("mov", before=cover),
    "mkv h264": Odd("mkv", options={"bf": "2"}),
    "mkv hevc": Odd("mkv", "libx265", X265),
    "mkv vp8": Odd("mkv", "libvpx"),
    "mkv vp9": Odd("mkv", "libvpx-vp9"),
    "mkv av1": Odd("mkv", "libsvtav1", AV1),
    "mkv ffv1": Odd("mkv", "ffv1"),
    "mkv mpeg2": Odd("mkv", "mpeg2video", {"bf": "2"}),
    "mkv mjpeg": Odd("mkv", "mjpeg", pixels="yuvj420p"),
    "mkv, RGB in h264": Odd("mkv", "libx264rgb", pixels="rgb24"),
    "mkv, uneven times": Odd("mkv", times_ms=UNEVEN),
    "mkv that begins at 3 s": Odd("mkv", times_ms=[3000 + t for t in SMOOTH]),
    "mkv, a minute between two pictures": Odd(
        "mkv", times_ms=[t + (59_000 if t > 400 else 0) for t in SMOOTH]
    ),
    "webm vp8 with hidden frames": Odd(
        "webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "12"}
    ),
    "webm vp9 with hidden frames": Odd(
        "webm", "libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "12"}
    ),
    "ts h264": Odd("ts", options={"bf": "2"}),
    "ts hevc": Odd("ts", "libx265", X265),
    "ts mpeg2": Odd("ts", "mpeg2video", {"bf": "2"}),
    "ts of Blu-ray": Odd("m2ts", mux={"mpegts_m2ts_mode": "1"}, format="mpegts"),
    "ts, uneven times": Odd("ts", times_ms=UNEVEN),
    "mpg mpeg1": Odd("mpg", "mpeg1video", {"bf": "2"}),
    "mpg mpeg2": Odd("mpg", "mpeg2video", {"bf": "2"}),
    "vob": Odd("vob", "mpeg2video", format="vob"),
    "avi mpeg4 with B frames": Odd("avi", "mpeg4", {"bf": "2"}),
    "avi mjpeg": Odd("avi", "mjpeg", pixels="yuvj420p"),
    "avi h264": Odd("avi", options={"bf": "0"}),
    "avi huffyuv": Odd("avi", "huffyuv", pixels="yuv422p"),
    "flv h264": Odd("flv", options={"bf": "2"}),
    "flv1": Odd("flv", "flv1"),
    "ogg vp8": Odd("ogg", "libvpx", format="ogg"),
    "gif": Odd("gif", "gif", pixels="rgb8"),
    "apng": Odd("apng", "apng", pixels="rgb24", format="apng"),
    "avif sequence": Odd("avif", "libsvtav1", AV1, format="avif", probed=False),
}


def made(path: Path, odd: Odd) -> Path:
    frames = numbered(COUNT, *odd.size)
    with av.open(str(path), "w", format=odd.format, options=odd.mux) as out:
        fill = odd.before(out) if odd.before is not None else None
        stream = out.add_stream(odd.codec, rate=odd.rate)
        stream.width, stream.height = odd.size
        stream.pix_fmt, stream.gop_size = odd.pixels, odd.gop
        stream.disposition = Disposition.default
        stream.codec_context.thread_count = 1
        stream.options = odd.options
        if odd.times_ms:
            stream.codec_context.time_base = Fraction(
                1, 1000 if odd.times_ms != tuple(SMOOTH) else 25
            )
        if fill is not None:
            fill()
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=odd.pixels)
            if odd.times_ms:
                frame.pts, frame.time_base = odd.times_ms[number], Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = number, 1 / odd.rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def decoded(
    path: Path, sample: str = "all", *, seek: bool = True
) -> tuple[Opened, list[Frame], Finished]:
    data = path.read_bytes()
    first, *frames, last = decode(
        BytesIO(data), sniff(data[:4096], path.name), parse_policy(sample), LIMITS, seek=seek
    )
    assert isinstance(first, Opened)
    assert isinstance(last, Finished)
    return first, [frame for frame in frames if isinstance(frame, Frame)], last


def probed_ms(path: Path, stream: int = 0) -> list[float]:
    """Times of the frames of one stream by ffprobe; NaN where it knows none."""
    if shutil.which("ffprobe") is None:
        pytest.skip("no ffprobe here: apt-get install ffmpeg")
    command = ["ffprobe", "-v", "error", "-select_streams", str(stream), "-show_entries"]
    command += ["frame=best_effort_timestamp_time", "-of", "csv=p=0", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    lines = [line.strip(",") for line in told.split()]
    return [np.nan if line == "N/A" else 1000 * float(line) for line in lines if line]


@pytest.mark.parametrize("name", SEEN)
def test_number_time_and_picture_agree(tmp_path: Path, name: str) -> None:
    odd = SEEN[name]
    path = made(tmp_path / f"x.{odd.suffix}", odd)
    opened, frames, finished = decoded(path)
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert [number_in(frame.rgb) for frame in frames] == list(range(COUNT))
    assert (opened.missing, finished.corrupt_packets, opened.joints) == (0, 0, 0)
    if odd.probed:
        told = np.array(probed_ms(path, opened.stream))
        found = np.array([frame.pts_ms for frame in frames])
        assert len(told) == COUNT
        known = np.isfinite(told)
        assert known.sum() > COUNT / 4
        apart = (found - told)[known]
        assert np.ptp(apart) <= odd.within_ms, (found, told)


@pytest.mark.parametrize("name", SEEN)
def test_few_looks_show_the_same_pictures_as_all(tmp_path: Path, name: str) -> None:
    odd = SEEN[name]
    path = made(tmp_path / f"x.{odd.suffix}", odd)
    _, few, _ = decoded(path, "uniform:5")
    _, every, _ = decoded(path, seek=False)
    assert len(few) == 5
    by_index: dict[int, Images] = {frame.index: frame.rgb for frame in every}
    assert all(np.array_equal(frame.rgb, by_index[frame.index]) for frame in few)
