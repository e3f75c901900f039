"""A frame and its mirror image are searched one way round, so that a mirrored copy has the same faces.

A finder's boxes on a mirrored frame are not its boxes mirrored: they lie a pixel or two elsewhere, and
detectors of forgery are that sensitive to how a face is cut. So the frame is mirrored first if its
brighter side is the left one, and what is found is mirrored back.
"""

from collections.abc import Callable

import cv2
import numpy as np

from ingest.faces.finders.face import Face, in_order, moved, shrink
from unmask.arrays import Images

#: Every so many lines tell which side is brighter, by their green alone.
_LINES = 8
#: The five landmarks as they are named on a mirrored face: left becomes right.
_NAMED_ANEW = [1, 0, 2, 4, 3]


def one_way_round(rgb: Images, longest_px: int, find: Callable[[Images], list[Face]]) -> list[Face]:
    """Faces of a (H, W, 3) uint8 RGB frame, left to right: what `find` finds on it, reduced to at most
    `longest_px` on its longer side, or on the mirror image of that."""
    small, factor = shrink(rgb, longest_px)
    if not _brighter_left(small):
        return in_order([moved(face, factor) for face in find(small)], rgb)
    found = find(np.asarray(cv2.flip(small, 1)))
    return in_order([_back(moved(face, factor), rgb.shape[1]) for face in found], rgb)


def _brighter_left(rgb: Images) -> bool:
    """Where the weight of the light lies; whole numbers, so that a mirror image answers the opposite."""
    columns = rgb[::_LINES, :, 1].sum(axis=0, dtype=np.int64)
    width = len(columns)
    return bool(columns @ (2 * np.arange(width) - (width - 1)) < 0)


def _back(face: Face, width: int) -> Face:
    x0, y0, x1, y1 = face.box
    marks = face.landmarks
    if marks is not None:
        marks = np.stack([width - marks[:, 0], marks[:, 1]], axis=1)[_NAMED_ANEW]
    return Face(box=(width - x1, y0, width - x0, y1), score=face.score, landmarks=marks)
