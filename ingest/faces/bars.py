"""Bars around the picture: a copy set into a larger frame is searched as the original was.

A finder sees a frame reduced to its own size, so a letterboxed copy would be searched at another scale,
and detectors of forgery hear the pixel by which the boxes then differ.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unmask.arrays import Images
from unmask.geometry import Affine, Box

#: Every so many pixels along a line tell whether it may be a bar's, by their green alone.
_EVERY = 4
#: Grey levels by which a bar's pixels may differ: what compression does to black.
_PLAIN = 10
#: They are black, or white; a grey wall is a wall.
_BLACK, _WHITE = 40, 215
#: Bars come in pairs, as thick as each other but for so many lines, and at least this share of a side.
#: What is black beyond that on one side alone is the picture's own: a dark room above a white shirt.
_ALIKE, _LEAST = 4, 0.02
#: What lies within must be at least this share of a side.
_INNER = 0.2
#: A picture that grew so often has no bars: a dark scene looked like it.
_MOST_CHANGES = 3

Edges = tuple[int, int, int, int]
"""Left, top, right, bottom, pixels."""


class Part(NamedTuple):
    """A part of a frame, and where it begins."""

    rgb: Images
    left: int = 0
    top: int = 0

    def on_frame(self, box: Box) -> Box:
        """A box on the part, on the frame."""
        x0, y0, x1, y1 = box
        return (x0 + self.left, y0 + self.top, x1 + self.left, y1 + self.top)

    def to_frame(self, matrix: Affine) -> Affine:
        """An affine that ends on the part, made to end on the frame."""
        a, b, tx, c, d, ty = matrix
        return (a, b, tx + self.left, c, d, ty + self.top)


class Bars:
    """What of one video's frames lies between bars. It only ever grows."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._edges: Edges | None = None
        self._changes = 0

    def within(self, rgb: Images) -> Part:
        """What of a (H, W, 3) uint8 RGB frame is no bar on every look so far, and where it begins."""
        height, width = rgb.shape[:2]
        if rgb.shape != self._shape:
            self._shape, self._edges, self._changes = rgb.shape, None, 0
        if self._changes < _MOST_CHANGES:
            self._grow(edges_within(rgb))
        if self._changes >= _MOST_CHANGES or self._edges is None:
            return Part(rgb)
        left, top, right, bottom = self._edges
        if (left, top, right, bottom) == (0, 0, width, height):
            return Part(rgb)
        return Part(np.ascontiguousarray(rgb[top:bottom, left:right]), left, top)

    def _grow(self, seen: Edges | None) -> None:
        if seen is None:
            return
        old = self._edges or seen
        grown = (*map(min, old[:2], seen[:2]), *map(max, old[2:], seen[2:]))
        if self._edges is not None and grown != self._edges:
            self._changes += 1
        self._edges = (grown[0], grown[1], grown[2], grown[3])


def edges_within(rgb: Images) -> Edges | None:
    """Between the bars of one frame; None where all of it is one colour.

    >>> frame = np.full((90, 80, 3), 16, np.uint8)
    >>> frame[15:75] = np.arange(80 * 3, dtype=np.uint8).reshape(80, 3)
    >>> edges_within(frame)
    (0, 15, 80, 75)
    """
    green = rgb[..., 1]
    rows, columns = _lines(green[:, ::_EVERY], axis=1), _lines(green[::_EVERY], axis=0)
    if rows is None or columns is None:
        return None
    # What is cut off is judged by nobody, so every pixel of it is asked, in every colour.
    top, bottom = next(r for r in rows if _plain(rgb[: r[0]]) and _plain(rgb[r[1] :]))
    left, right = next(c for c in columns if _plain(rgb[:, : c[0]]) and _plain(rgb[:, c[1] :]))
    return left, top, right, bottom


def _plain(bar: Images) -> bool:
    if bar.size == 0:
        return True
    least, most = bar.min(axis=(0, 1)), bar.max(axis=(0, 1))
    level = bool(most.max() <= _BLACK or least.min() >= _WHITE)
    return level and bool((most.astype(int) - least <= _PLAIN).all())


def _lines(green: NDArray[np.uint8], axis: int) -> list[tuple[int, int]] | None:
    """First line that is no bar, and the one after the last: what may be, the likeliest first; the last
    is that there is no bar. None where all of it is one colour."""
    least, most = green.min(axis=axis), green.max(axis=axis)
    count = len(least)
    # One bar is one colour: that of its outermost line, on its own side of the frame.
    ends = []
    for low, high in ((least, most), (least[::-1], most[::-1])):
        near, far = np.minimum.accumulate(low), np.maximum.accumulate(high)
        bar = (far.astype(int) - near <= _PLAIN) & ((far <= _BLACK) | (near >= _WHITE))
        ends.append(int(np.count_nonzero(bar)))
    before, after = ends
    if before == count:
        return None
    thinner = min(before, after)
    pairs = [(before, after)] if abs(before - after) <= _ALIKE else []
    pairs += [(thinner, thinner)]
    found = [
        (first, count - last)
        for first, last in pairs
        if thinner >= _LEAST * count and count - first - last >= _INNER * count
    ]
    return [*found, (0, count)]
