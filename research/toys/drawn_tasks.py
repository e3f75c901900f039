"""Drawn pictures with a known forged area. Pure; the same seed, the same pictures.

Every picture is a soft colour field under noise. What tells a forgery is never the noise itself,
which differs from picture to picture, but that a part of the picture has another.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_Forge = Callable[[np.random.Generator, Floats, Floats], tuple[Floats, Floats]]
"""(random, field, picture) -> the picture forged, and its mask."""


class Drawn(NamedTuple):
    """A batch."""

    images: Floats
    """(B, 3, S, S) in 0..1."""
    labels: Floats
    """(B,) 0 or 1; half are forged."""
    masks: Floats
    """(B, 1, S, S), 1 = forged."""


def cue(random: np.random.Generator, count: int, side: int) -> Drawn:
    """A forgery has one square, a quarter of the side, of fine stripes. For what labels alone teach."""
    return _batch(random, count, side, _striped)


def odd_part(random: np.random.Generator, count: int, side: int) -> Drawn:
    """A forgery has an ellipse with noise of another strength, 1.3 times as strong or as weak, and
    grain. Either may be anything: only comparing one place with another tells."""
    return _batch(random, count, side, partial(_regrained, times=(0.77, 1.3)))


def plain_part(random: np.random.Generator, count: int, side: int) -> Drawn:
    """The same, twice as strong or as weak."""
    return _batch(random, count, side, partial(_regrained, times=(0.5, 2.0)))


def _batch(random: np.random.Generator, count: int, side: int, forge: _Forge) -> Drawn:
    labels = (np.arange(count) % 2).astype(np.float32)
    images = np.zeros((count, 3, side, side), np.float32)
    masks = np.zeros((count, 1, side, side), np.float32)
    for index, label in enumerate(labels):
        field = _field(random, side)
        picture = field + _noise(random, side, *_grain(random))
        if label:
            picture, masks[index, 0] = forge(random, field, picture)
        images[index] = np.clip(picture, 0.0, 1.0).transpose(2, 0, 1)
    return Drawn(images, labels, masks)


def _field(random: np.random.Generator, side: int) -> Floats:
    coarse = random.uniform(0.25, 0.75, (5, 5, 3)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def _grain(random: np.random.Generator) -> tuple[float, float]:
    """Strength and blur of a picture's noise."""
    return float(random.uniform(0.02, 0.10)), float(random.uniform(0.4, 1.2))


def _noise(random: np.random.Generator, side: int, strength: float, blur: float) -> Floats:
    noise = random.standard_normal((side, side, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), blur)
    return np.asarray(soft * (strength / max(float(soft.std()), 1e-6)), np.float32)


def _striped(random: np.random.Generator, field: Floats, picture: Floats) -> tuple[Floats, Floats]:
    side = picture.shape[0]
    size = side // 4
    x, y = (int(v) for v in random.integers(0, side - size + 1, 2))
    mask = np.zeros((side, side), np.float32)
    mask[y : y + size, x : x + size] = 1.0
    stripes = 0.12 * (((np.arange(side) // 2) % 2) * 2 - 1).astype(np.float32)
    return picture + mask[..., None] * stripes[None, :, None], mask


def _regrained(
    random: np.random.Generator, field: Floats, picture: Floats, *, times: tuple[float, float]
) -> tuple[Floats, Floats]:
    side = picture.shape[0]
    mask = np.zeros((side, side), np.float32)
    centre = tuple(int(v) for v in random.integers(side // 3, side - side // 3, 2))
    axes = tuple(int(v) for v in random.integers(side // 6, side // 3, 2))
    cv2.ellipse(mask, centre, axes, float(random.uniform(0, 180)), 0, 360, 1.0, -1)
    own = float((picture - field).std())
    strength = own * float(random.choice(times))
    other = field + _noise(random, side, strength, float(random.uniform(0.4, 1.2)))
    soft = cv2.GaussianBlur(mask, (0, 0), 1.0)[..., None]
    return soft * other + (1.0 - soft) * picture, mask
