"""Crops to try a detector on, drawn rather than photographed."""

from typing import Any

import numpy as np

from unmask.plugin import FaceCrop


def sample_crops(count: int = 4, *, seed: int = 0) -> list[FaceCrop]:
    """Face-sized crops of several sizes, smooth with noise on top; some boxes are near an edge."""
    rng = np.random.default_rng(seed)
    crops = []
    for index in range(count):
        side = int(rng.integers(140, 420))
        face = side * rng.uniform(0.35, 0.6)
        x0 = (side - face) * (0.1 if index % 3 == 2 else 0.5)
        y0 = (side - face) * 0.45
        crops.append(
            FaceCrop(
                pixels=_picture(side, rng),
                box=(x0, y0, x0 + face, y0 + face * rng.uniform(0.8, 1.2)),
                crop_to_frame=(1.5, 0.0, 37.0, 0.0, 1.5, -12.0),
            )
        )
    return crops


def _picture(side: int, rng: np.random.Generator) -> Any:
    """(side, side, 3) uint8: slow waves of colour, a disc, and sensor noise."""
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [0.5 + 0.3 * np.sin(rng.uniform(2, 9) * x + rng.uniform(2, 9) * y) for _ in range(3)]
    disc = (x - rng.uniform(0.4, 0.6)) ** 2 + (y - rng.uniform(0.4, 0.6)) ** 2 < 0.04
    picture = np.stack(waves, axis=-1) + 0.2 * disc[..., None]
    noisy = picture + rng.normal(0.0, 0.02, picture.shape)
    return (np.clip(noisy, 0.0, 1.0) * 255).astype(np.uint8)
