"""Seven distortions at five levels, applied to decoded crops before a plugin sees them. Pure.

Levels follow the parameters published with DeeperForensics-1.0, which FoCus Table IV uses; the code
is ours. `seed` makes the random ones (block, noise) repeat. Images are (H, W, 3) uint8 RGB.
"""

import io
from collections.abc import Callable

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.arrays import Images
from unmask.errors import ConfigError

LEVELS = (1, 2, 3, 4, 5)
#: Parameter of each level.
SATURATION = (0.4, 0.3, 0.2, 0.1, 0.0)
CONTRAST = (0.85, 0.725, 0.6, 0.475, 0.35)
BLOCKS = (16, 32, 48, 64, 80)
"""Grey blocks of 8 px a 256 x 256 image, more on larger ones."""
NOISE_VARIANCE = (0.001, 0.002, 0.005, 0.01, 0.05)
BLUR_PX = (7, 9, 13, 17, 21)
"""Gaussian kernel's side for an image of 256 px, scaled with it."""
PIXELATION = (2, 3, 4, 5, 6)
COMPRESSION_CRF = (30, 32, 35, 38, 40)


def saturation(image: Images, level: int, seed: int = 0) -> Images:
    """Chroma scaled towards grey."""
    factor = SATURATION[level - 1]
    ycc = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    ycc[..., 1:] = 128 + factor * (ycc[..., 1:] - 128)
    return _rgb(cv2.cvtColor(_rgb(ycc), cv2.COLOR_YCrCb2RGB))


def contrast(image: Images, level: int, seed: int = 0) -> Images:
    """Values scaled towards black."""
    return _rgb(image.astype(np.float32) * CONTRAST[level - 1])


def block(image: Images, level: int, seed: int = 0) -> Images:
    """Grey blocks at random places."""
    rng = np.random.default_rng([seed, level])
    out = image.copy()
    height, width = out.shape[:2]
    side = max(2, round(8 * min(height, width) / 256))
    for _ in range(BLOCKS[level - 1]):
        y, x = rng.integers(0, max(1, height - side)), rng.integers(0, max(1, width - side))
        out[y : y + side, x : x + side] = 128
    return out


def noise(image: Images, level: int, seed: int = 0) -> Images:
    """White Gaussian noise of the level's variance (range 0..1) on every value."""
    rng = np.random.default_rng([seed, level])
    sigma = 255.0 * float(np.sqrt(NOISE_VARIANCE[level - 1]))
    return _rgb(image.astype(np.float32) + rng.normal(0.0, sigma, image.shape))


def blur(image: Images, level: int, seed: int = 0) -> Images:
    """Gaussian, as wide on a large crop as on a small one."""
    kernel = max(3, round(BLUR_PX[level - 1] * min(image.shape[:2]) / 256) | 1)
    return np.asarray(cv2.GaussianBlur(image, (kernel, kernel), kernel / 6.0), np.uint8)


def pixelation(image: Images, level: int, seed: int = 0) -> Images:
    """Reduced and enlarged again without smoothing."""
    height, width = image.shape[:2]
    factor = PIXELATION[level - 1]
    small = cv2.resize(
        image,
        (max(1, width // factor), max(1, height // factor)),
        interpolation=cv2.INTER_AREA,
    )
    back = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(back, np.uint8)


def compression(image: Images, level: int, seed: int = 0) -> Images:
    """Really encoded and decoded: H.264, one key frame at the level's crf, 4:2:0."""
    return h264(image, COMPRESSION_CRF[level - 1])


DISTORTIONS: dict[str, Callable[[Images, int, int], Images]] = {
    "saturation": saturation,
    "contrast": contrast,
    "block": block,
    "noise": noise,
    "blur": blur,
    "pixelation": pixelation,
    "compression": compression,
}


def distort(image: Images, kind: str, level: int, seed: int = 0) -> Images:
    """One distortion by name. Raises ConfigError on a name or level there is not."""
    if kind not in DISTORTIONS or level not in LEVELS:
        raise ConfigError(
            f"no distortion {kind!r} at level {level}.",
            fix=f"Choose from {', '.join(DISTORTIONS)} at levels 1 to 5.",
        )
    return DISTORTIONS[kind](image, level, seed)


def h264(image: Images, crf: int) -> Images:
    """The image through libx264 at `crf` and back; odd sides are padded by their edge and cut off."""
    height, width = image.shape[:2]
    even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = even.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        frame = av.VideoFrame.from_ndarray(even, format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode()])
    buffer.seek(0)
    with av.open(buffer, mode="r") as container:
        decoded = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return np.ascontiguousarray(decoded[:height, :width], dtype=np.uint8)


def _rgb(values: NDArray[np.floating] | Images) -> Images:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
