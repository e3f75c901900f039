"""How much the whole picture has changed since the last look: a cut, a pan, or nothing but light."""

from bisect import bisect_left
from collections.abc import Sequence
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.arrays import Images

_SIZE = (32, 18)
#: Every so many pixels are enough for an average over so many.
_SAMPLES = 256
#: Spread of grey below which a picture is plain, and correlates with anything.
_PLAIN = 4.0


#: A change is a cut from here on, where it is also so many times what is usual among the looks around:
#: 205 of 208 joints between clips of two people, 4 of 875 looks within a clip.
_CUT, _OF_USUAL = 0.2, 4.0
_AROUND = 6


def cuts_between(
    times_ms: Sequence[int], changes: Sequence[float], told_ms: Sequence[int]
) -> tuple[int, ...]:
    """Where shots begin: as the encoder told, and where the picture tells of a cut that it did not.

    `times_ms`: of the looks, ascending; `changes`: of each since the one before, same length. A cut lies
    anywhere between two looks; it is put at the second, with which the new shot begins. Pure.

    >>> cuts_between(range(0, 4000, 500), [0, 0.02, 0.03, 0.9, 0.02, 0.02, 0.03, 0.02], ())
    (1500,)
    >>> cuts_between(range(0, 4000, 500), [0, 0.02, 0.03, 0.9, 0.02, 0.02, 0.03, 0.02], (1240,))
    (1240,)
    >>> cuts_between(range(0, 4000, 500), [0, 0.3, 0.4, 0.5, 0.4, 0.3, 0.4, 0.3], ())
    ()
    """
    told = sorted(told_ms)
    found = list(told)
    for place in range(1, len(times_ms)):
        if changes[place] < _CUT:
            continue
        around = [
            *changes[max(1, place - _AROUND) : place],
            *changes[place + 1 : place + 1 + _AROUND],
        ]
        if changes[place] < _OF_USUAL * (median(around) if around else 0.0):
            continue
        after = bisect_left(told, times_ms[place - 1] + 1)
        if after == len(told) or told[after] > times_ms[place]:
            found.append(times_ms[place])
    return tuple(sorted(found))


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
