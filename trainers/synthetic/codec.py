"""The codec ladder: what every picture goes through on its way to a moderator. Same for both classes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import av
import cv2
import numpy as np

from unmask.arrays import Images

#: The fast lookahead rounds by where its buffers lie in memory: the same frames came back in up to
#: six versions, and a resumed run was another run.
REPEATABLE = {"threads": "1", "x264-params": "cpu-independent=1"}


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One way through the ladder, drawn once and applied to both halves of a pair."""

    kind: Literal["none", "jpeg", "h264"]
    quality: int = 0
    """JPEG quality, or H.264 crf."""
    scale: float = 1.0
    """Resize before encoding."""
    drift: tuple[float, float] = (0.0, 0.0)
    """Motion of the picture between frames, pixels: P frames then carry a residual."""
    frames: int = 1


def draw_passage(rng: np.random.Generator, crf: tuple[int, int] = (16, 38)) -> Passage:
    """A random passage: mostly H.264 at a `crf` between these, some JPEG, some untouched or shrunk."""
    kind = str(rng.choice(["h264", "jpeg", "none"], p=[0.65, 0.2, 0.15]))
    scale = float(rng.uniform(0.5, 1.0)) if rng.random() < 0.35 else 1.0
    if kind == "h264":
        drift = rng.normal(0.0, 1.0, 2)
        return Passage(
            kind="h264",
            quality=int(rng.integers(crf[0], crf[1] + 1)),
            scale=scale,
            drift=(float(drift[0]), float(drift[1])),
            frames=int(rng.choice([1, 3])),
        )
    if kind == "jpeg":
        return Passage(kind="jpeg", quality=int(rng.integers(40, 96)), scale=scale)
    return Passage(kind="none", scale=scale)


def passed(image: Images, passage: Passage) -> Images:
    """Send one RGB picture through a passage; its size changes by `scale` (even sides for H.264)."""
    if passage.scale != 1.0:
        size = (
            max(16, round(image.shape[1] * passage.scale)),
            max(16, round(image.shape[0] * passage.scale)),
        )
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    if passage.kind == "jpeg":
        _, data = cv2.imencode(
            ".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, passage.quality]
        )
        decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        return np.ascontiguousarray(decoded[..., ::-1])
    if passage.kind == "h264":
        side_y, side_x = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        image = image[:side_y, :side_x]
        back = range(passage.frames - 1, -1, -1)
        clip = [_shifted(image, passage.drift[0] * n, passage.drift[1] * n) for n in back]
        return h264(clip, crf=passage.quality)[-1]
    return image


def _shifted(image: Images, dx: float, dy: float) -> Images:
    if dx == 0.0 and dy == 0.0:
        return image
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    size = (image.shape[1], image.shape[0])
    return np.asarray(
        cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def h264(frames: Sequence[Images], *, crf: int, preset: str = "veryfast") -> list[Images]:
    """Encode RGB frames (even sides) with x264 and decode them again, in memory."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": preset, **REPEATABLE}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r") as reader:
        return [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in reader.decode(video=0)]
