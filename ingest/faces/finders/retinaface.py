"""RetinaFace (Deng et al., CVPR 2020): the retina-face package's graph, and plain ONNX exports.

Two families of graphs are in circulation. The package's has nine outputs, one (class, box,
landmarks) triple a stride, and is decoded by the package. The PyTorch exports have three, already
flattened over all priors, and are decoded here.
"""

import os
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ingest.faces.finders.face import Face, suppress
from ingest.faces.finders.one_way_round import one_way_round
from unmask.plugin import Images
from unmask.system.hashing import file_sha256

_LONGEST_PX = 1024
#: Both families find faces in any direction, and are surest of those that stand upright.
_UPRIGHT = 0.99
_TILT_WEIGHT = 0.0


class PackagedRetinaFace:
    """retina-face on ONNX Runtime, with weights that are already on this machine."""

    weak = False
    upright_score = _UPRIGHT
    tilt_weight = _TILT_WEIGHT

    def __init__(self, weights: Path, *, threshold: float = 0.9) -> None:
        """`weights`: the package's retinaface.onnx. Never downloads."""
        self.name = f"retinaface@{_digest(weights)}"
        package, model = _import_package()
        self._detect_faces = package.detect_faces
        self._model = model.RetinaFace(session(weights))
        self._threshold = threshold

    def detect(self, rgb: Images) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right."""
        return one_way_round(rgb, _LONGEST_PX, self._detect)

    def _detect(self, small: Images) -> list[Face]:
        found = self._detect_faces(
            cv2.cvtColor(small, cv2.COLOR_RGB2BGR),
            threshold=self._threshold,
            model=self._model,
            allow_upscaling=False,
        )
        faces = []
        for face in found.values():
            x0, y0, x1, y1 = (float(v) for v in face["facial_area"])
            points = face["landmarks"]
            landmarks = np.array(
                [
                    points[key]
                    for key in ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")
                ],
                dtype=np.float32,
            )
            faces.append(
                Face(box=(x0, y0, x1, y1), score=float(face["score"]), landmarks=landmarks)
            )
        return faces


#: Strides and anchor sides of the PyTorch RetinaFace family, and its box and landmark variances.
_STRIDES = (8, 16, 32)
_SIDES = ((16, 32), (64, 128), (256, 512))
_VARIANCES = (0.1, 0.2)
#: What the family subtracts from BGR, its training set's mean.
_MEAN_BGR = np.array([104.0, 117.0, 123.0], dtype=np.float32)


class OnnxRetinaFace:
    """A three-output RetinaFace export: boxes (1, P, 4), classes (1, P, 2), landmarks (1, P, 10)."""

    weak = False
    upright_score = _UPRIGHT
    tilt_weight = _TILT_WEIGHT

    def __init__(self, path: Path, *, threshold: float = 0.7) -> None:
        self.name = f"retinaface-onnx@{_digest(path)}"
        self._session = session(path)
        self._threshold = threshold
        node = self._session.get_inputs()[0]
        self._input = node.name
        height, width = node.shape[2], node.shape[3]
        self._fixed = (width, height) if isinstance(height, int) else None
        by_width = {output.shape[-1]: output.name for output in self._session.get_outputs()}
        self._outputs = [by_width[4], by_width[2], by_width[10]]

    def detect(self, rgb: Images) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right."""
        longest = min(self._fixed) if self._fixed else _LONGEST_PX
        return one_way_round(rgb, longest, self._detect)

    def _detect(self, small: Images) -> list[Face]:
        canvas = np.zeros((*self._canvas(small), 3), dtype=np.float32)
        canvas[: small.shape[0], : small.shape[1]] = small[..., ::-1].astype(np.float32) - _MEAN_BGR
        boxes, classes, points = self._session.run(
            self._outputs, {self._input: canvas.transpose(2, 0, 1)[None]}
        )
        height, width = canvas.shape[:2]
        priors = priors_of(height, width)
        scores = classes[0, :, 1]
        sure = np.flatnonzero(scores >= self._threshold)
        decoded, marks = decode(boxes[0, sure], points[0, sure], priors[sure])
        size = np.array([width, height], dtype=np.float64)
        faces = [
            Face(
                box=tuple((box.reshape(2, 2) * size).ravel().tolist()),
                score=float(score),
                landmarks=(mark * size).astype(np.float32),
            )
            for box, mark, score in zip(decoded, marks, scores[sure], strict=True)
        ]
        return suppress(faces, 0.4)

    def _canvas(self, small: Images) -> tuple[int, int]:
        if self._fixed:
            return self._fixed[1], self._fixed[0]
        # Whole multiples of the coarsest stride, so that priors and outputs agree in number.
        return -(-small.shape[0] // 32) * 32, -(-small.shape[1] // 32) * 32


def priors_of(height: int, width: int) -> NDArray[np.float64]:
    """Anchor boxes (P, 4) as centre x, centre y, width, height, as shares of the input."""
    rows = []
    for stride, sides in zip(_STRIDES, _SIDES, strict=True):
        ys = (np.arange(-(-height // stride)) + 0.5) * stride / height
        xs = (np.arange(-(-width // stride)) + 0.5) * stride / width
        y, x = np.meshgrid(ys, xs, indexing="ij")
        per_cell = [
            np.stack([x, y, np.full_like(x, s / width), np.full_like(x, s / height)], axis=-1)
            for s in sides
        ]
        rows.append(np.stack(per_cell, axis=2).reshape(-1, 4))
    return np.concatenate(rows)


def decode(
    boxes: NDArray[Any], points: NDArray[Any], priors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners (P, 4) and landmarks (P, 5, 2), shares of the input, from the network's offsets."""
    centre = priors[:, :2] + boxes[:, :2] * _VARIANCES[0] * priors[:, 2:]
    size = priors[:, 2:] * np.exp(boxes[:, 2:] * _VARIANCES[1])
    marks = priors[:, None, :2] + points.reshape(-1, 5, 2) * _VARIANCES[0] * priors[:, None, 2:]
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1), marks


def session(path: Path) -> Any:
    """An ONNX Runtime session on the CPU, quiet, on one thread: several videos run side by side."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )


def download_packaged_weights() -> Path:
    """Let the package fetch its weights from its own release page. Raises what the package raises."""
    _, model = _import_package()
    with warnings.catch_warnings():
        from retinaface.commons import weight_utils  # noqa: PLC0415 (see _import_package)

        return Path(
            weight_utils.download_weights_if_necessary(
                file_name="retinaface.onnx", source_urls=model.WEIGHTS_URLS
            )
        )


def _import_package() -> tuple[Any, Any]:
    # Imported late: the package silences every warning of the process at import, and would run on
    # torch or TensorFlow if it found them, which have other weights.
    os.environ.setdefault("DEEPFACE_BACKEND_ENGINE", "onnx")
    with warnings.catch_warnings():
        from retinaface import RetinaFace  # noqa: PLC0415
        from retinaface.model import retinaface_onnx_model  # noqa: PLC0415

    return RetinaFace, retinaface_onnx_model


def _digest(path: Path) -> str:
    return file_sha256(path)[:8]
