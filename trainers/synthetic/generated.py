"""Traces that generators leave on the whole face or picture, where nothing is blended."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from trainers.synthetic.appearance import denoised, down_up, noisy, sharpened
from unmask.arrays import Images

Rebuild = Callable[[Images], Images]
"""Picture -> the same picture as a decoder would draw it, e.g. `autoencoder.Autoencoder`."""


def checkerboard(image: Images, rng: np.random.Generator) -> Images:
    """The period-2 or period-4 grid of a transposed convolution, 1 to 4 grey levels high."""
    period = int(rng.choice([2, 2, 4]))
    tile = rng.normal(0.0, 1.0, (period, period, 3 if rng.random() < 0.5 else 1))
    tile = tile - tile.mean()
    tile = tile / max(float(np.abs(tile).max()), 1e-6) * rng.uniform(1.0, 4.0)
    height, width = image.shape[:2]
    grid = np.tile(tile, (height // period + 1, width // period + 1, 1))[:height, :width]
    # Decoders leave it where there is texture, not on flat ground.
    detail = np.abs(image.astype(np.float32) - cv2.GaussianBlur(image, (0, 0), 3))
    weight = np.clip(detail.mean(axis=2, keepdims=True) / 8.0, 0.25, 1.0)
    return np.asarray(np.clip(np.rint(image + grid * weight), 0, 255), np.uint8)


def regenerated(
    image: Images, rng: np.random.Generator, *, rebuilds: Sequence[Rebuild] = ()
) -> Images:
    """A picture that carries one random mixture of generator traces.

    Clean and smooth, resolution lost and restored, over-sharpened, gridded, or drawn again by one
    of `rebuilds` (small autoencoders).
    """
    out = image
    if rebuilds and rng.random() < 0.6:
        out = rebuilds[int(rng.integers(len(rebuilds)))](out)
        if rng.random() < 0.3:
            out = sharpened(out, rng.uniform(0.3, 1.0), rng.uniform(0.7, 1.5))
    else:
        if rng.random() < 0.6:
            out = denoised(out, rng)
        if rng.random() < 0.7:
            out = down_up(out, rng.uniform(1.3, 3.0), rng)
        if rng.random() < 0.6:
            out = sharpened(out, rng.uniform(0.4, 1.6), rng.uniform(0.8, 2.2))
    if rng.random() < 0.3:
        out = checkerboard(out, rng)
    if rng.random() < 0.1:
        out = noisy(out, rng.uniform(1.0, 3.0), rng)
    return out
