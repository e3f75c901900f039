"""Quarter turns of pictures, points and boxes. Counted as numpy.rot90 does: against the clock.

`turns` is always how often a frame is turned against the clock until a face on it stands upright.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.faces.finders.face import Face, Landmarks
from unmask.arrays import Images
from unmask.geometry import Affine, Box

_Points = NDArray[Any]


def turned(rgb: Images, turns: int) -> Images:
    """The frame after `turns` quarter turns; itself after none."""
    return np.ascontiguousarray(np.rot90(rgb, turns)) if turns % 4 else rgb


def to_turned(box: Box, turns: int, shape: tuple[int, ...]) -> Box:
    """A box on a frame of `shape` (height, width, ...), on that frame after `turns` quarter turns.

    >>> to_turned((10, 20, 30, 50), 1, (100, 200))
    (20, 170, 50, 190)
    """
    height, width = shape[:2]
    x0, y0, x1, y1 = box
    for _ in range(turns % 4):
        x0, y0, x1, y1 = y0, width - x1, y1, width - x0
        height, width = width, height
    return (x0, y0, x1, y1)


def face_back(face: Face, turns: int, shape: tuple[int, ...]) -> Face:
    """A face on the turned frame, on the frame of `shape` itself; it knows its turns from then on."""
    if turns % 4 == 0:
        return face
    x0, y0, x1, y1 = _back(np.array(face.box, dtype=np.float64).reshape(2, 2), turns, shape).ravel()
    marks: Landmarks | None = None
    if face.landmarks is not None:
        marks = _back(face.landmarks, turns, shape).astype(np.float32)
    return Face(
        box=(float(min(x0, x1)), float(min(y0, y1)), float(max(x0, x1)), float(max(y0, y1))),
        score=face.score,
        landmarks=marks,
        turns=turns % 4,
        sure=face.sure,
    )


def matrix_back(matrix: Affine, turns: int, shape: tuple[int, ...]) -> Affine:
    """An affine that ends on the turned frame, made to end on the frame of `shape` itself.

    >>> matrix_back((1.0, 0.0, 5.0, 0.0, 1.0, 7.0), 2, (100, 200))
    (-1.0, -0.0, 195.0, -0.0, -1.0, 93.0)
    """
    height, width = shape[:2]
    a, b, tx, c, d, ty = matrix
    match turns % 4:
        case 1:  # x = width - y', y = x'
            return (-c, -d, width - ty, a, b, tx)
        case 2:
            return (-a, -b, width - tx, -c, -d, height - ty)
        case 3:  # x = y', y = height - x'
            return (c, d, ty, -a, -b, height - tx)
    return matrix


def turns_of(matrix: Affine) -> int:
    """The quarter turns in an affine from a crop to its frame.

    >>> [turns_of(matrix_back((1.0, 0.0, 0.0, 0.0, 1.0, 0.0), n, (9, 9))) for n in range(4)]
    [0, 1, 2, 3]
    """
    a, b, *_ = matrix
    if abs(a) >= abs(b):
        return 0 if a > 0 else 2
    return 1 if b < 0 else 3


def _back(points: _Points, turns: int, shape: tuple[int, ...]) -> _Points:
    height, width = shape[:2]
    x, y = points[:, 0], points[:, 1]
    match turns % 4:
        case 1:
            return np.stack([width - y, x], axis=1)
        case 2:
            return np.stack([width - x, height - y], axis=1)
        case 3:
            return np.stack([y, height - x], axis=1)
    return points
