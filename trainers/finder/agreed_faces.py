"""The faces of one picture that the teachers agree about, and those that they are divided about.

YuNet looks at the picture twice, RetinaFace once. A face that both name is sure; one that only one of
them names, or that is no more than a suspicion, is neither taught as a face nor as none. Where MTCNN
names a sure face as well its box is taken: the shipped detectors' thresholds were set on crops of that
geometry. Where it does not, YuNet's box is moved as MTCNN's boxes lie to YuNet's on the whole.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.faces.finders.build import build_face_detector
from ingest.faces.finders.face import Face, FaceDetector
from ingest.faces.finders.retinaface import OnnxRetinaFace
from ingest.faces.finders.yunet import YuNet
from unmask.arrays import Images
from unmask.geometry import Box, iou, longer_side
from unmask.settings import Settings

#: From this score on a teacher suspects a face, from that one on it names one.
_SUSPECTED, _NAMED = 0.3, 0.6
#: Overlap of two teachers' boxes of one face.
_SAME = 0.45
#: Photos up to this size are shown to the teachers at twice theirs too: small faces are found there.
_TWICE_BELOW_PX = 900

Marks = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class AgreedFace:
    """One face on one picture."""

    box: Box
    """Pixels; of MTCNN's geometry where `from_mtcnn`, else YuNet's."""
    marks: Marks
    """(5, 2) pixels, as Face.landmarks."""
    sure: bool
    """False: divided; to be left out of account."""
    from_mtcnn: bool = False

    @property
    def side(self) -> float:
        """Longer side, pixels."""
        return longer_side(self.box)

    @property
    def turned_aside(self) -> float:
        """0 for a face that looks at the camera, .5 and more for a profile."""
        return turned_aside(self.marks)


def turned_aside(marks: Marks) -> float:
    """How far the nose stands from between the eyes and mouth corners, over the face's height there.

    >>> frontal = np.array([[-10, 0], [10, 0], [0, 10], [-8, 20], [8, 20]], np.float32)
    >>> turned_aside(frontal)
    0.0
    """
    eyes, mouth = marks[:2].mean(axis=0), marks[3:].mean(axis=0)
    down = mouth - eyes
    length = float(np.hypot(*down)) + 1e-6
    nose = marks[2] - (eyes + mouth) / 2
    return abs(float(nose[0] * down[1] - nose[1] * down[0])) / length**2


class Teachers:
    """YuNet, RetinaFace and, for its boxes alone, MTCNN."""

    def __init__(self, yunet: Path, retinaface: Path) -> None:
        """Both ONNX files; retinaface_graph.py makes the second."""
        self._yunet = YuNet(yunet, threshold=_SUSPECTED, longest_px=1280)
        self._retinaface = OnnxRetinaFace(retinaface, threshold=_SUSPECTED)
        self._mtcnn = build_face_detector("mtcnn", Settings())

    def faces(self, rgb: Images, *, twice: bool) -> list[AgreedFace]:
        """Every face that any teacher suspects on a (H, W, 3) uint8 RGB picture.

        `twice`: look at twice the size too, where there may be small ones.
        """
        yunet = self._yunet.detect(rgb)
        if twice and max(rgb.shape[:2]) <= _TWICE_BELOW_PX:
            yunet = _together(yunet, _larger(self._yunet, rgb))
            retinaface = _larger(self._retinaface, rgb)
        else:
            retinaface = self._retinaface.detect(rgb)
        mtcnn = self._mtcnn.detect(rgb)
        faces = [_agreed(face, retinaface, mtcnn) for face in yunet]
        alone = [face for face in retinaface if not _match(face, yunet, 0.3)]
        return faces + [_divided(face) for face in alone]


def _larger(teacher: FaceDetector, rgb: Images) -> list[Face]:
    twice = cv2.resize(rgb, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return [_halved(face) for face in teacher.detect(np.asarray(twice, np.uint8))]


def _halved(face: Face) -> Face:
    x0, y0, x1, y1 = (value / 2 for value in face.box)
    marks = None if face.landmarks is None else (face.landmarks / 2).astype(np.float32)
    return Face(box=(x0, y0, x1, y1), score=face.score, landmarks=marks)


def _together(first: list[Face], second: list[Face]) -> list[Face]:
    """Both, one entry for each face: the surer one."""
    kept: list[Face] = []
    for face in sorted(first + second, key=lambda f: -f.score):
        if _match(face, kept, _SAME) is None:
            kept.append(face)
    return kept


def _match(face: Face, others: list[Face], overlap: float) -> Face | None:
    best = max(others, key=lambda other: iou(face.box, other.box), default=None)
    return best if best is not None and iou(face.box, best.box) >= overlap else None


def _agreed(face: Face, retinaface: list[Face], mtcnn: list[Face]) -> AgreedFace:
    other = _match(face, retinaface, _SAME)
    if other is None or min(face.score, other.score) < _NAMED:
        return _divided(face)
    ours = _match(face, mtcnn, 0.5)
    taken = face if ours is None else ours
    return AgreedFace(box=taken.box, marks=_marks(taken), sure=True, from_mtcnn=ours is not None)


def _divided(face: Face) -> AgreedFace:
    return AgreedFace(box=face.box, marks=_marks(face), sure=False)


def _marks(face: Face) -> Marks:
    if face.landmarks is None:
        raise ValueError("a teacher of five landmarks gave none")
    return face.landmarks
