"""Where a face's box ends, whoever found it: what MTCNN's last network settles on.

A finder's box of the same face lies some pixels elsewhere on a frame of another size, or where the
search began elsewhere, and detectors of forgery are that sensitive to how a face is cut: 2 % of a
face are worth 0.1 of a score. The last network says where the face is in any square around it. Asked
again about what it said, it comes to rest, and on nearly the same box from wherever it began.
"""

from pathlib import Path

import cv2
import numpy as np

from ingest.faces.finders.mtcnn_graphs import SIDES, compiled, normalised
from unmask.geometry import Box, longer_side
from unmask.plugin import Images

_SIDE = SIDES["onet"]
#: So often it is asked, and each time the box goes so much of the way: all of it goes too far, and back.
_ROUNDS, _STEP = 3, 0.75
#: Where no side moves by more than this share of the face, a third of that is left to go: it rests.
_STILL = 0.006
#: The network was not made for a smaller face, and no detector assesses one.
_LEAST_PX = 24.0


class Settler:
    """The network on one thread."""

    def __init__(self, weights: Path) -> None:
        """`weights`: the file of `onet` that mtcnn_graphs.weight_files found."""
        self._network = compiled("onet", weights, together=2)

    def at_rest(self, rgb: Images, box: Box) -> tuple[Box, float]:
        """Where the face at `box` of a (H, W, 3) uint8 frame ends, and how sure the network is of one; a
        face that is too small keeps its box, with 0: nobody asked."""
        sure = 0.0
        if longer_side(box) >= _LEAST_PX:
            for _ in range(_ROUNDS):
                before = box
                box, sure = self._round(rgb, box)
                if np.abs(np.subtract(box, before)).max() <= _STILL * longer_side(before):
                    break
        return box, sure

    def _round(self, rgb: Images, box: Box) -> tuple[Box, float]:
        """One step from `box` to where the network sees the face, and how sure it is of one."""
        patch, (left, top, side) = _patch(rgb, box)
        # Seen both ways round, so that a mirrored copy has the same box mirrored.
        both = np.stack([patch, patch[:, ::-1]])
        made = self._network.infer(normalised(both), share_inputs=True)
        offsets, _, classes = (np.asarray(head) for head in made.values())
        (x0, y0, x1, y1), (m0, n0, m1, n1) = offsets.astype(np.float64)
        inner = ((x0 - m1) / 2, (y0 + n0) / 2, (x1 - m0) / 2, (y1 + n1) / 2)
        seen = np.array([left, top, left + side, top + side]) + np.array(inner) * side
        moved = np.asarray(box) + _STEP * (seen - box)
        return (moved[0], moved[1], moved[2], moved[3]), float(classes[:, 1].mean())


def _patch(rgb: Images, box: Box) -> tuple[Images, tuple[int, int, int]]:
    """The square around `box` at the network's size, black outside the frame; its left, top and side.

    A large one is averaged over whole pixels first: no more memory, however far it reaches.
    """
    each = max(1, int(longer_side(box) / (2 * _SIDE)))
    cells = max(2, round(longer_side(box) / each))
    side = cells * each
    left, top = round((box[0] + box[2] - side) / 2), round((box[1] + box[3] - side) / 2)
    height, width = rgb.shape[:2]
    x0, x1 = _within(left, each, cells, width)
    y0, y1 = _within(top, each, cells, height)
    square = np.zeros((cells, cells, 3), np.uint8)
    if x0 < x1 and y0 < y1:
        part = rgb[top + y0 * each : top + y1 * each, left + x0 * each : left + x1 * each]
        square[y0:y1, x0:x1] = cv2.resize(part, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    way = cv2.INTER_AREA if cells > _SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (_SIDE, _SIDE), interpolation=way)), (left, top, side)


def _within(first: int, each: int, cells: int, length: int) -> tuple[int, int]:
    """Of so many cells of `each` pixels from `first` on, those that lie whole within 0..length."""
    begin, end = max(0, -(first // each)), min(cells, (length - first) // each)
    return begin, max(begin, end)
