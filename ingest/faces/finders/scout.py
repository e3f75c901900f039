"""Scout: the finder that trainers/finder/ trains, of YuNet's kind and size.

One pass, three strides; one score, box and five landmarks for each cell. Whom it is not sure of it looks
at twice more, close up: a texture that resembles a face from afar does not from near. It draws boxes as
MTCNN does, because the shipped detectors' thresholds hang on the crops' geometry.
docs/how-to/train-a-finder.md has what it finds beside others.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.faces.finders.at_rest import Settler
from ingest.faces.finders.face import Face, shrink, square_within
from ingest.faces.finders.mtcnn_graphs import weight_files
from ingest.faces.finders.one_way_round import one_way_round
from unmask.geometry import Box, longer_side
from unmask.plugin import Images
from unmask.system.hashing import file_sha256
from unmask.system.safe_openvino import PrePostProcessor, core, ov

#: The graph's outputs, by stride.
OUTPUTS = {"fine": 8, "middle": 16, "coarse": 32}
#: Longer side of what the network sees; a smaller frame is seen as it is.
_LONGEST_PX = 640
#: It learns faces up to some 250 px: larger ones are found on a frame of this size, for little.
_SMALL_PX = 256
#: Of a face there; smaller ones were seen better before.
_LARGE_PX = 48.0
#: The network halves five times: sides are filled up to multiples.
_MULTIPLE = 32
_OVERLAP = 0.4
#: From this score on a face is one, below that one nothing is.
_SURE, _SUSPECTED = 0.9, 0.4
#: Sides at which a suspected face is looked at again, in a square of so many times its own.
_CLOSE_PX, _AROUND = (96, 160), 2.6
#: What a close look that shows no face counts as.
_NOTHING, _FAINT = 1e-3, 0.05
#: Of so many suspects on one frame at most, the likeliest.
_MOST_SUSPECTS = 128
#: A box that shares so much of itself with a likelier one is a part of that face: a cell that answers for
#: small faces is taught nothing about what lies within large ones.
_PART = 0.5
#: Compiled for so many input sizes: a video's frames, their quick looks and a few close-ups.
_SIZES_KEPT = 12

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class Scout:
    """One small network on one thread, run by OpenVINO in full precision."""

    weak = False
    #: One pass over a sixth of the pixels, large faces with the others.
    quick_px = _SMALL_PX
    new_score = _SURE
    upright_score = _SURE
    tilt_weight = 0.0

    def __init__(self, weights: Path, *, threshold: float = 0.73) -> None:
        """`weights`: what trainers/finder wrote. `threshold`: least confidence of a face, 0..1, of a
        frame's and two close looks taken together."""
        cascade = weight_files()
        self._settler = Settler(cascade["onet"]) if cascade is not None else None
        self.name = f"scout@{file_sha256(weights)[:8]}" + ("+settled" if self._settler else "")
        self._graph = weights
        self._enough = _log_odds(threshold) * (1 + len(_CLOSE_PX))
        self._compiled: OrderedDict[tuple[int, int], Any] = OrderedDict()

    def detect(self, rgb: Images) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right."""
        return one_way_round(rgb, max(rgb.shape[:2]), self._detect)

    def glimpse(self, small: Images) -> list[Face]:
        """Faces of a reduced frame, without another look at those it is not sure of."""
        return one_way_round(small, _SMALL_PX, self._suspected)

    def at_rest(self, rgb: Images, box: Box) -> tuple[Box, float]:
        """Where MTCNN would have the box of that face; as it came and never sure without its wheel."""
        return self._settler.at_rest(rgb, box) if self._settler is not None else (box, 0.0)

    def _suspected(self, small: Images) -> list[Face]:
        return _outermost(self._seen(small, _SUSPECTED).suppressed(_OVERLAP))

    def _detect(self, rgb: Images) -> list[Face]:
        small, factor = shrink(rgb, _LONGEST_PX)
        seen = [self._seen(small, _SUSPECTED).on_frame(factor)]
        if max(small.shape[:2]) > _SMALL_PX:
            smaller, again = shrink(small, _SMALL_PX)
            large = self._seen(smaller, _SUSPECTED)
            wide = large.boxes[:, 2] - large.boxes[:, 0] > _LARGE_PX
            seen.append(large.at(wide).on_frame(factor * again))
        found = _outermost(_Seen.joined(seen).suppressed(_OVERLAP))
        sure = [face for face in found if face.score >= _SURE]
        suspects = [face for face in found if face.score < _SURE][:_MOST_SUSPECTS]
        return sure + [face for face in suspects if self._confirmed(rgb, face)]

    def _confirmed(self, rgb: Images, face: Face) -> bool:
        close = [_log_odds(max(_NOTHING, self._close(rgb, face, px))) for px in _CLOSE_PX]
        return _log_odds(face.score) + sum(close) >= self._enough

    def _close(self, rgb: Images, face: Face, px: int) -> float:
        """The score that the face has in a square around it, brought to that side; 0 for none."""
        square, corner = square_within(rgb, face.box, round(_AROUND * longer_side(face.box)))
        side = square.shape[0]
        way = cv2.INTER_AREA if side > px else cv2.INTER_LINEAR
        near = np.asarray(cv2.resize(square, (px, px), interpolation=way), np.uint8)
        seen = self._seen(near, _FAINT).on_frame(px / side, corner)
        overlaps = _iou(seen.boxes, face.box) >= _OVERLAP
        return float(seen.scores[overlaps].max(initial=0.0))

    def _seen(self, small: Images, least: float) -> "_Seen":
        """Every box of at least that score, many for each face."""
        height, width = (-(-side // _MULTIPLE) * _MULTIPLE for side in small.shape[:2])
        canvas = np.zeros((1, height, width, 3), np.uint8)
        canvas[0, : small.shape[0], : small.shape[1]] = small
        request = self._network(height, width)
        request.infer(canvas, share_inputs=True)
        return _Seen.joined(
            [
                _cells(request.get_tensor(name).data[0], stride, _log_odds(least))
                for name, stride in OUTPUTS.items()
            ]
        )

    def _network(self, height: int, width: int) -> Any:
        """An infer request for that input size, (1, height, width, 3) uint8."""
        size = (height, width)
        if size not in self._compiled:
            self._compiled[size] = self._compile(height, width)
            if len(self._compiled) > _SIZES_KEPT:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(size)
        return self._compiled[size]

    def _compile(self, height: int, width: int) -> Any:
        model = core().read_model(self._graph)
        model.reshape([1, 3, height, width])
        # Bytes go in as they lie; the graph makes them floats, which numpy would do more slowly.
        steps = PrePostProcessor(model)
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        steps.input().model().set_layout(ov.Layout("NCHW"))
        properties = {
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
            # Not pinned: another process's thread may have been pinned to the same core.
            "ENABLE_CPU_PINNING": False,
        }
        return core().compile_model(steps.build(), "CPU", properties).create_infer_request()


class _Seen(NamedTuple):
    """Boxes of a picture, many for each face."""

    boxes: Doubles
    """(N, 4)."""
    scores: Doubles
    """(N,)."""
    marks: Doubles
    """(N, 5, 2)."""

    @classmethod
    def joined(cls, parts: Sequence["_Seen"]) -> "_Seen":
        """All of these."""
        return cls(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def at(self, which: NDArray[Any]) -> "_Seen":
        """Some of them: a mask, or their numbers."""
        return _Seen(*(each[which] for each in self))

    def on_frame(self, factor: float, corner: Sequence[int] = (0, 0)) -> "_Seen":
        """From a part of the frame, reduced to `factor`, with its corner there, to the frame."""
        at = np.asarray(corner, np.float64)
        return _Seen(self.boxes / factor + np.tile(at, 2), self.scores, self.marks / factor + at)

    def suppressed(self, overlap: float) -> list[Face]:
        """The most certain of those that overlap by more than that (IoU), as faces."""
        if not len(self.scores):
            return []
        sizes = self.boxes[:, 2:] - self.boxes[:, :2]
        kept = cv2.dnn.NMSBoxes(
            np.hstack([self.boxes[:, :2], sizes]).tolist(), self.scores.tolist(), 0.0, overlap
        )
        found = self.at(np.asarray(kept).ravel())
        rows = zip(found.boxes.tolist(), found.scores.tolist(), found.marks, strict=True)
        faces = [
            Face(box=(x0, y0, x1, y1), score=score, landmarks=marks.astype(np.float32))
            for (x0, y0, x1, y1), score, marks in rows
        ]
        return sorted(faces, key=lambda face: face.box)


def _cells(values: Floats, stride: int, least: float) -> _Seen:
    """Of one stride's (15, H, W): trainers/finder/targets.py says what stands where."""
    if values[0].max() <= least:
        return _Seen(np.empty((0, 4)), np.empty(0), np.empty((0, 5, 2)))
    ys, xs = np.nonzero(values[0] > least)
    found = values[:, ys, xs].astype(np.float64)
    cells = (np.stack([xs, ys]) + 0.5) * stride
    centres = cells + found[1:3] * stride
    halves = np.exp(np.minimum(found[3:5], 6.0)) * stride / 2
    marks = cells[None] + found[5:].reshape(5, 2, -1) * stride
    return _Seen(
        np.concatenate([centres - halves, centres + halves]).T,
        1.0 / (1.0 + np.exp(-found[0])),
        marks.transpose(2, 0, 1),
    )


def _iou(boxes: Doubles, other: Box) -> Doubles:
    """(N, 4) with one box: (N,)."""
    least, most = np.minimum(boxes, other), np.maximum(boxes, other)
    across = np.maximum(0.0, least[:, 2] - most[:, 0])
    down = np.maximum(0.0, least[:, 3] - most[:, 1])
    both = across * down
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    own = (other[2] - other[0]) * (other[3] - other[1])
    return np.asarray(both / (areas + own - both), np.float64)


def _outermost(faces: list[Face]) -> list[Face]:
    """Without those that lie within a likelier one, or around it; the likeliest first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: -f.score):
        if all(_shared(face.box, other.box) <= _PART for other in kept):
            kept.append(face)
    return kept


def _shared(a: Box, b: Box) -> float:
    """Of the smaller one's area, what the other covers too."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    least = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0.0, width) * max(0.0, height) / max(least, 1e-6)


def _log_odds(p: float) -> float:
    p = min(p, 1.0 - _NOTHING)
    return math.log(p / (1.0 - p))
