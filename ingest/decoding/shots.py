"""Where new shots begin, without decoding for it. Pure.

An encoder tells: a key frame that comes before its turn was put there because the picture changed,
and a frame that takes several times the bytes of its neighbours could not be built on them. Neither
is a proof. A cut too many costs a few looks; a cut that no encoder noticed leaves one shot of two.
"""

from collections.abc import Sequence
from itertools import pairwise

#: A key frame is early when it comes after less than this share of the longest wait for one.
_EARLY = 0.9
#: A frame that no encoder calls key is a cut when it takes so many times the most of its neighbours,
_SPIKE = 3.0
_NEIGHBOURS = 12
#: and at least this share of what key frames take.
_OF_A_KEY = 0.5
#: Of two cuts closer than this, the second is a flash or a fade.
_APART_MS = 250.0


def cuts_of(
    pts_ms: Sequence[float], keyframes: Sequence[bool], sizes: Sequence[int]
) -> tuple[int, ...]:
    """First frames of new shots, ascending; the very first frame is none.

    `sizes`: bytes of each frame in presentation order, same length; empty where they are not known.

    >>> keys = [i in (0, 70, 100, 200) for i in range(300)]
    >>> cuts_of([40.0 * i for i in range(300)], keys, [])
    (70, 100)
    """
    found = set(_early_keys(keyframes))
    if len(sizes) == len(pts_ms):
        found |= set(_spikes(keyframes, sizes))
    cuts: list[int] = []
    for index in sorted(found):
        if not cuts or pts_ms[index] - pts_ms[cuts[-1]] >= _APART_MS:
            cuts.append(index)
    return tuple(cuts)


def _early_keys(keyframes: Sequence[bool]) -> list[int]:
    keys = [index for index, key in enumerate(keyframes) if key]
    waits = [b - a for a, b in pairwise(keys)]
    if not waits or max(waits) < _NEIGHBOURS:
        return []  # every picture is one, or nearly: they say nothing
    return [key for key, wait in zip(keys[1:], waits, strict=True) if wait < _EARLY * max(waits)]


def _spikes(keyframes: Sequence[bool], sizes: Sequence[int]) -> list[int]:
    keys = sorted(size for size, key in zip(sizes, keyframes, strict=True) if key)
    if not keys or 2 * len(keys) > len(sizes):
        return []
    floor = _OF_A_KEY * keys[len(keys) // 2]
    found = []
    for index, size in enumerate(sizes):
        if keyframes[index] or size < floor or index == 0:
            continue
        around = range(max(0, index - _NEIGHBOURS), min(len(sizes), index + _NEIGHBOURS + 1))
        others = [sizes[i] for i in around if i != index and not keyframes[i]]
        if others and size > _SPIKE * max(others):
            found.append(index)
    return found
