"""How much the whole picture has changed since the last look: a cut, a pan, or nothing but light."""

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.arrays import Images

_SIZE = (32, 18)
#: Every so many pixels are enough for an average over so many.
_SAMPLES = 256
#: Spread of grey below which a picture is plain, and correlates with anything.
_PLAIN = 4.0


class Scene:
    """Compares each look with the one before."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None

    def change(self, rgb: Images) -> float:
        """0: the same picture, however bright; 1 and more: nothing in common. 0 for the first look."""
        seen = _pattern(rgb)
        last, self._last = self._last, seen
        if last is None:
            return 0.0
        plain = bool(seen.any()) + bool(last.any())
        if plain < 2:
            return float(plain)
        return float(1.0 - (last * seen).mean())


def _pattern(rgb: Images) -> NDArray[np.float32]:
    """Grey levels of a tiny picture, mean 0 and spread 1; all 0 where it is plain."""
    step = max(1, max(rgb.shape[:2]) // _SAMPLES)
    small = cv2.resize(
        np.ascontiguousarray(rgb[::step, ::step]), _SIZE, interpolation=cv2.INTER_AREA
    )
    grey = small.astype(np.float32).mean(axis=-1)
    grey -= grey.mean()
    spread = float(grey.std())
    pattern: NDArray[np.float32] = grey / spread if spread > _PLAIN else np.zeros_like(grey)
    return pattern
