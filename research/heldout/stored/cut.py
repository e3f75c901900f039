"""One stretch of a clip around its main face: as found, and after the codec passages of a moderator's inbox."""

import io
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
SCALE = 1.55
"""Side of a stored crop over the face's longer side: room for 1.3 with jitter."""
CAP_PX = 256
CONTEXT = 8
"""Frames before a moment that an encoder sees, so that most judged frames are predicted ones."""


def stretches(path: Path, moments: int, *, longest: int = 360) -> list[tuple[int, list[Image]]]:
    """(index of the first frame, `CONTEXT` + 4 neighbouring RGB frames) at evenly spread moments."""
    with av.open(str(path)) as container:
        total = min(longest, sum(1 for p in container.demux(video=0) if p.size))
    need = CONTEXT + 4
    starts = np.linspace(0, max(0, total - need), moments).round().astype(int)
    held: dict[int, list[Image]] = {int(s): [] for s in starts}
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        for number, frame in enumerate(container.decode(video=0)):
            wanted = [s for s in held if s <= number < s + need]
            if number >= max(held) + need:
                break
            if wanted:
                picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                for s in wanted:
                    held[s].append(picture)
    return [(s, frames) for s, frames in held.items() if frames]


def square(box: Sequence[float], scale: float = SCALE) -> tuple[int, int, int]:
    """Left, top and side, in whole pixels, of the square around a face box."""
    x0, y0, x1, y1 = box
    side = max(8, round(scale * max(x1 - x0, y1 - y0)))
    side += side % 2
    return round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2), side


def cut(image: Image, where: tuple[int, int, int]) -> Image:
    """The square (side, side, 3), mirrored where it leaves the picture."""
    left, top, side = where
    height, width = image.shape[:2]
    pad = max(0, -left, -top, left + side - width, top + side - height)
    if pad:
        image = np.asarray(
            cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REFLECT_101), np.uint8
        )
    return np.ascontiguousarray(image[top + pad : top + pad + side, left + pad : left + pad + side])


def stored(crop: Image) -> Image:
    """Shrunk by area to at most `CAP_PX`; never enlarged."""
    if crop.shape[0] <= CAP_PX:
        return crop
    return np.asarray(cv2.resize(crop, (CAP_PX, CAP_PX), interpolation=cv2.INTER_AREA), np.uint8)


def encoded(
    frames: Sequence[Image], crf: int, scale: float = 1.0, preset: str = "veryfast"
) -> list[Image]:
    """x264 and back, in memory; sides become even. `scale` < 1 shrinks before."""
    buffer = io.BytesIO(encoded_bytes(frames, crf, scale, preset))
    with av.open(buffer, "r") as reader:
        return [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in reader.decode(video=0)]


def encoded_bytes(
    frames: Sequence[Image], crf: int, scale: float = 1.0, preset: str = "veryfast"
) -> bytes:
    """An MP4 file of x264 at a constant rate factor; sides become even."""
    side = int(frames[0].shape[0] * scale) // 2 * 2
    frames = [
        np.asarray(cv2.resize(f, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        for f in frames
    ]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height = stream.width = side
        stream.pix_fmt = "yuv420p"
        stream.options = {
            "crf": str(crf),
            "preset": preset,
            "threads": "1",
            "x264-params": "cpu-independent=1",
        }
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
