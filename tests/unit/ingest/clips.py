"""Small real clips, written with PyAV, and the ways in which files go wrong."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from skimage.data import astronaut

from unmask.plugin import Images

FACELESS = np.full((120, 160, 3), 90, dtype=np.uint8)


def numbered(count: int, width: int = 160, height: int = 120) -> list[Images]:
    """Frames that can be told apart: `number_in` reads the number back after lossy coding."""
    frames = []
    for number in range(count):
        frame = np.full((height, width, 3), 40, dtype=np.uint8)
        for bit in range(10):
            if number >> bit & 1:
                frame[: height // 2, bit * width // 10 : (bit + 1) * width // 10] = 220
        frames.append(frame)
    return frames


def number_in(frame: Images) -> int:
    """The number that `numbered` drew."""
    width = frame.shape[1]
    row = frame[frame.shape[0] // 4].mean(axis=1)
    return sum(1 << bit for bit in range(10) if row[int((bit + 0.5) * width / 10)] > 128)


def portrait(face_px: int = 150, size: tuple[int, int] = (320, 320)) -> Images:
    """(height, width, 3): the public-domain astronaut, her face about `face_px` wide."""
    photo = astronaut()[0:300, 80:380]
    side = round(300 * face_px / 105)
    small = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
    height, width = size[1], size[0]
    canvas = np.full((max(height, side), max(width, side), 3), 120, dtype=np.uint8)
    top, left = (canvas.shape[0] - side) // 2, (canvas.shape[1] - side) // 2
    canvas[top : top + side, left : left + side] = small
    top, left = (canvas.shape[0] - height) // 2, (canvas.shape[1] - width) // 2
    return np.ascontiguousarray(canvas[top : top + height, left : left + width])


def panning(count: int, face_px: int = 110) -> list[Images]:
    """A face that moves a pixel or two per frame."""
    wide = portrait(face_px, (400, 320))
    return [np.ascontiguousarray(wide[:, 20 + n : 340 + n]) for n in range(count)]


def write_clip(
    path: Path,
    frames: Sequence[Images],
    *,
    codec: str = "libx264",
    rate: int = 25,
    gop: int = 12,
    times_ms: Sequence[int] | None = None,
    rotation: int = 0,
    matrix: Sequence[int] | None = None,
    pixel_aspect: Fraction | None = None,
    audio_s: float = 0.0,
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
) -> Path:
    """Encode frames; the container follows the path's suffix."""
    height, width = frames[0].shape[:2] if frames else (0, 0)
    with av.open(str(path), "w", options=mux or {}) as out:
        stream = None
        if frames:
            stream = out.add_stream(codec, rate=rate)
            stream.width, stream.height = width, height
            stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
            stream.gop_size = gop
            stream.codec_context.thread_count = 1
            stream.options = options or {}
            if times_ms is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            if rotation:
                stream.set_display_rotation(rotation)
            if matrix is not None:
                stream.set_display_matrix(matrix)
            if pixel_aspect is not None:
                stream.codec_context.sample_aspect_ratio = pixel_aspect
        sound = out.add_stream("aac", rate=44100, layout="mono") if audio_s else None
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = number, Fraction(1, rate)
            out.mux(stream.encode(frame))
        if stream is not None:
            out.mux(stream.encode())
        if sound is not None:
            _beep(out, sound, audio_s)
    return path


def _beep(out: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    for start in range(0, int(seconds * 44100), 1024):
        wave = np.sin(np.arange(start, start + 1024) / 20.0).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, start
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def spoil(path: Path, share: tuple[float, float], seed: int = 0) -> Path:
    """Overwrite the part of the file between two shares of its length with noise."""
    data = bytearray(path.read_bytes())
    start, end = (int(len(data) * part) for part in share)
    data[start:end] = np.random.default_rng(seed).bytes(end - start)
    path.write_bytes(bytes(data))
    return path


def cut_short(path: Path, share: float) -> Path:
    """Keep the first `share` of the file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path
