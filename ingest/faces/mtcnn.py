"""MTCNN (Zhang et al., IEEE Signal Processing Letters 2016): a cascade of three small networks.

The face detector that is there without a download: its weights come with the mtcnn wheel (MIT).
Proposals over a pyramid, refined twice; five landmarks from the last network.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ingest.faces.face import Face, in_order, shrink, suppress
from ingest.faces.mtcnn_graphs import build_graph
from unmask.plugin import Images

_LONGEST_PX = 800
#: Smallest face that is looked for, in pixels of the reduced frame: halving it costs four times more.
_SMALLEST_PX = 24.0
_PYRAMID = 0.709
#: The proposal network's window and stride, pixels.
_WINDOW, _STRIDE = 12, 2
#: What the three networks must be sure of, the paper's authors' own settings.
_SURE = (0.6, 0.7, 0.8)
_MAX_PROPOSALS = 400

Rows = NDArray[np.float32]


class Mtcnn:
    """Three ONNX Runtime sessions on one thread."""

    weak = False
    name = "mtcnn@1.0.0"

    def __init__(self, files: dict[str, Path]) -> None:
        """`files`: what mtcnn_graphs.weight_files found."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._propose, self._refine, self._output = (
            onnxruntime.InferenceSession(
                build_graph(name, files[name]),
                sess_options=options,
                providers=["CPUExecutionProvider"],
            )
            for name in ("pnet", "rnet", "onet")
        )

    def detect(self, rgb: Images) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right."""
        small, factor = shrink(rgb, _LONGEST_PX)
        rows = self._proposals(small)
        if len(rows):
            offsets, classes = self._run(self._refine, small, rows, 24, ["boxes", "classes"])
            rows = _thin(_moved(rows, offsets, classes[:, 1]), _SURE[1], 0.7)
        if not len(rows):
            return []
        rows = _squared(rows)
        offsets, marks, classes = self._run(
            self._output, small, rows, 48, ["boxes", "marks", "classes"]
        )
        moved = _moved(rows, offsets, classes[:, 1])
        side = (rows[:, 2:4] - rows[:, :2] + 1)[:, :, None]
        points = marks.reshape(-1, 2, 5) * side + rows[:, :2, None]
        faces = [
            Face(
                box=(float(r[0]), float(r[1]), float(r[2]), float(r[3])),
                score=float(r[4]),
                landmarks=(p.T / factor).astype(np.float32),
            )
            for r, p in zip(moved[:, :] / [*[factor] * 4, 1.0], points, strict=True)
            if r[4] >= _SURE[2]
        ]
        return in_order(suppress(faces, 0.4), rgb)

    def _proposals(self, small: Images) -> Rows:
        """(P, 5) square boxes and scores, pixels of the reduced frame."""
        found = []
        height, width = small.shape[:2]
        scale = _WINDOW / _SMALLEST_PX
        while min(height, width) * scale >= _WINDOW:
            size = (max(_WINDOW, round(width * scale)), max(_WINDOW, round(height * scale)))
            resized = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
            offsets, classes = self._propose.run(
                ["boxes", "classes"], {"image": _normalised(resized[None])}
            )
            ys, xs = np.nonzero(classes[0, 1] > _SURE[0])
            corner = np.stack([xs, ys], axis=1) * _STRIDE
            boxes = np.concatenate([corner, corner + _WINDOW], axis=1)
            boxes = (boxes + offsets[0, :, ys, xs] * _WINDOW) / scale
            scores = classes[0, 1, ys, xs]
            rows = np.concatenate([boxes, scores[:, None]], axis=1).astype(np.float32)
            found.append(_thin(rows, _SURE[0], 0.5))
            scale *= _PYRAMID
        if not found:
            return np.empty((0, 5), np.float32)
        rows = _thin(np.concatenate(found), _SURE[0], 0.7)
        return _squared(rows[np.argsort(-rows[:, 4], kind="stable")[:_MAX_PROPOSALS]])

    @staticmethod
    def _run(network: Any, small: Images, rows: Rows, side: int, outputs: list[str]) -> Any:
        patches = np.stack([_patch(small, row, side) for row in rows])
        return network.run(outputs, {"image": _normalised(patches)})


def _patch(small: Images, row: Rows, side: int) -> Images:
    """One square of the frame, resized; black outside the frame, as the networks were trained."""
    width = max(float(row[2] - row[0]), 1.0) / side
    matrix = np.array([[width, 0, row[0] + (width - 1) / 2], [0, width, row[1] + (width - 1) / 2]])
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    if width <= 2:
        return np.asarray(cv2.warpAffine(small, matrix, (side, side), flags=flags))
    # Far larger than the network's input: take it twice as large and average.
    matrix[:, :2] /= 2
    large = cv2.warpAffine(small, matrix, (2 * side, 2 * side), flags=flags)
    return np.asarray(cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA))


def _normalised(images: Images) -> Rows:
    scaled: Rows = (images.astype(np.float32) - np.float32(127.5)) / np.float32(128.0)
    return scaled.transpose(0, 3, 1, 2)


def _moved(rows: Rows, offsets: Rows, scores: Rows) -> Rows:
    size = rows[:, 2:4] - rows[:, :2] + 1
    boxes = rows[:, :4] + offsets * np.concatenate([size, size], axis=1)
    return np.concatenate([boxes, scores[:, None]], axis=1)


def _thin(rows: Rows, sure: float, overlap: float) -> Rows:
    """Drop what is not sure enough, and what a surer row covers."""
    rows = rows[rows[:, 4] > sure]
    if not len(rows):
        return rows
    sizes = np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(sizes.tolist(), rows[:, 4].tolist(), 0.0, overlap)
    left: Rows = rows[np.asarray(kept, dtype=int).ravel()]
    return left


def _squared(rows: Rows) -> Rows:
    centre = (rows[:, :2] + rows[:, 2:4]) / 2
    half = (rows[:, 2:4] - rows[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half, rows[:, 4:]], axis=1)
