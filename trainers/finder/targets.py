"""What the finder's network is trained towards: which cell answers for which face, and with what.

A face is answered for by the cells of the stride that fits its size whose centres lie within a stride
of its own (FCOS's centre sampling, Tian et al., ICCV 2019). Sizes on the border between two strides
belong to both. Cells elsewhere on a face, and on what is left out of account, are not taught at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.finder.finder_network import STRIDES, VALUES
from unmask.geometry import Box

Maps = NDArray[np.float32]

#: Root of a face's area, pixels, for each stride.
_SIZES = ((0.0, 44.0), (32.0, 116.0), (88.0, 1e9))
#: Smaller faces are left out of account: four pixels between the eyes tell nothing.
LEAST_PX = 9.0


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A face on a training picture; `marks` (5, 2). Not `sure`: left out of account."""

    box: Box
    marks: NDArray[np.float32]
    sure: bool


def targets_of(faces: Sequence[Placed], side: int) -> list[Maps]:
    """For each stride (15, side/s, side/s); channel 0 is 1 face, 0 none, -1 not taught.

    Offsets and landmarks are in strides from the cell's centre, sizes logarithms of strides.
    """
    made = []
    for stride, (least, most) in zip(STRIDES, _SIZES, strict=True):
        cells = side // stride
        maps = np.zeros((VALUES, cells, cells), np.float32)
        centres = (np.arange(cells, dtype=np.float32) + 0.5) * stride
        # The largest first: where two faces want a cell, the smaller one has it.
        for face in sorted(faces, key=lambda f: -_root(f.box)):
            size = _root(face.box)
            _leave_out(maps, face.box, centres)
            if face.sure and size >= LEAST_PX and least <= size < most:
                _answer(maps, face, centres, stride)
        made.append(maps)
    return made


def _root(box: Box) -> float:
    return float(np.sqrt(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])))


def _leave_out(maps: Maps, box: Box, centres: NDArray[np.float32]) -> None:
    across = (centres >= box[0]) & (centres <= box[2])
    down = (centres >= box[1]) & (centres <= box[3])
    maps[0][np.ix_(down, across)] = -1.0


def _answer(maps: Maps, face: Placed, centres: NDArray[np.float32], stride: int) -> None:
    x0, y0, x1, y1 = face.box
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    # At least the nearest cell, even where the face is smaller than a cell.
    xs = np.flatnonzero(abs(centres - middle_x) < max(stride, 0.2 * (x1 - x0)))
    ys = np.flatnonzero(abs(centres - middle_y) < max(stride, 0.2 * (y1 - y0)))
    for y in ys:
        for x in xs:
            at = np.array([centres[x], centres[y]], np.float32)
            maps[0, y, x] = 1.0
            maps[1:3, y, x] = (middle_x - at[0]) / stride, (middle_y - at[1]) / stride
            maps[3:5, y, x] = np.log((x1 - x0) / stride), np.log((y1 - y0) / stride)
            maps[5:, y, x] = ((face.marks - at) / stride).ravel()
