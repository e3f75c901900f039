"""What a face detector returns, what it must offer, and the few steps all of them share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.geometry import Box
from unmask.plugin import Images

Landmarks = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Face:
    """One face on one frame."""

    box: Box
    """Frame pixels; may reach beyond the frame."""
    score: float
    """Detector's confidence, 0..1."""
    landmarks: Landmarks | None = None
    """(5, 2) frame pixels: left eye, right eye, nose, mouth left, mouth right, as seen in the face."""
    turns: int = 0
    """Quarter turns of the frame against the clock after which the face stands upright, 0..3."""
    doubtful: bool = False
    """Whether it was asked in which direction it stands, and could not be told."""
    sure: float | None = None
    """How sure whoever laid its box to rest is of an upright face there, 0..1; None where nobody was asked."""


class FaceDetector(Protocol):
    """Finds faces. Instances belong to one thread."""

    @property
    def name(self) -> str:
        """Name and version, recorded in the verdict."""
        ...

    @property
    def weak(self) -> bool:
        """True where many faces are missed or imagined; the verdict then says so."""
        ...

    def detect(self, rgb: Images) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right."""
        ...


@runtime_checkable
class UprightDetector(FaceDetector, Protocol):
    """One that is less sure of faces that lie on their side or stand on their head.

    directions.py then asks it in all four directions where it is not. Whoever answers without
    looking at the pixels it is given must not claim this.
    """

    @property
    def upright_score(self) -> float:
        """Faces from this score on stand upright."""
        ...

    @property
    def tilt_weight(self) -> float:
        """Log-odds that each degree of tilt of a face's landmarks takes from its standing upright; 0 for
        one that draws upright landmarks on any face."""
        ...


@runtime_checkable
class QuickDetector(FaceDetector, Protocol):
    """One that finds large faces on a reduced frame for much less, and can say where a face's box ends.

    quick_search.py then looks all over every few frames only. Whoever answers without looking at the
    pixels it is given must not claim this.
    """

    @property
    def quick_px(self) -> int:
        """Longer side of the reduced frame, pixels."""
        ...

    @property
    def new_score(self) -> float:
        """From this score on, what is seen at a glimpse where nobody is known is somebody new."""
        ...

    def glimpse(self, small: Images) -> list[Face]:
        """As `detect`, of a reduced frame on which most faces are known: also such as it is not sure of."""
        ...

    def at_rest(self, rgb: Images, box: Box) -> tuple[Box, float]:
        """Where the face at `box` of a (H, W, 3) uint8 RGB frame ends from wherever it was found, and how
        sure it is that there is one, 0..1."""
        ...


def square_within(rgb: Images, box: Box, side: int) -> tuple[Images, tuple[int, int]]:
    """A view of a square of the frame with the box in its middle, and its left and top.

    It keeps within the frame: at the edge it is moved, in a frame that is smaller it is smaller.

    >>> frame = np.zeros((100, 200, 3), np.uint8)
    >>> view, corner = square_within(frame, (180.0, 40.0, 200.0, 60.0), 40)
    >>> view.shape, corner, square_within(frame, (0.0, 0.0, 9.0, 9.0), 400)[0].shape
    ((40, 40, 3), (160, 30), (100, 100, 3))
    """
    height, width = rgb.shape[:2]
    side = max(1, min(side, height, width))
    left = min(max(0, round((box[0] + box[2] - side) / 2)), width - side)
    top = min(max(0, round((box[1] + box[3] - side) / 2)), height - side)
    return rgb[top : top + side, left : left + side], (left, top)


def shrink(rgb: Images, longest_px: int) -> tuple[Images, float]:
    """The frame reduced to at most `longest_px` on its longer side, and reduced/original size."""
    height, width = rgb.shape[:2]
    factor = min(1.0, longest_px / max(height, width))
    if factor == 1.0:
        return rgb, 1.0
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    # Averaging over fractions of pixels is slow, over whole ones it is not: by halves to less than
    # twice the size, then bilinear, takes a seventh of the time and looks the same to a detector.
    while rgb.shape[1] >= 2 * size[0] and rgb.shape[0] >= 2 * size[1]:
        half = (rgb.shape[1] // 2, rgb.shape[0] // 2)
        rgb = cv2.resize(rgb[: 2 * half[1], : 2 * half[0]], half, interpolation=cv2.INTER_AREA)
    return cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR), factor


def moved(face: Face, factor: float, corner: Sequence[int] = (0, 0)) -> Face:
    """From a part of the frame, reduced to `factor`, with its corner there, to the frame."""
    left, top = corner
    x0, y0, x1, y1 = (float(v) / factor for v in face.box)
    marks = face.landmarks
    if marks is not None:
        marks = (marks / factor + [left, top]).astype(np.float32)
    return Face(box=(x0 + left, y0 + top, x1 + left, y1 + top), score=face.score, landmarks=marks)


def suppress(faces: Sequence[Face], overlap: float) -> list[Face]:
    """Keep the most certain of faces that overlap by more than `overlap` (IoU), left to right."""
    if not faces:
        return []
    boxes = [[f.box[0], f.box[1], f.box[2] - f.box[0], f.box[3] - f.box[1]] for f in faces]
    kept = cv2.dnn.NMSBoxes(boxes, [f.score for f in faces], 0.0, overlap)
    return in_order([faces[int(index)] for index in np.asarray(kept).ravel()], None)


def in_order(faces: Sequence[Face], rgb: Images | None) -> list[Face]:
    """Left to right, and where a frame is given, only faces whose centre lies on it."""
    if rgb is not None:
        height, width = rgb.shape[:2]
        faces = [
            f
            for f in faces
            if 0 <= (f.box[0] + f.box[2]) / 2 < width
            and 0 <= (f.box[1] + f.box[3]) / 2 < height
            and f.box[2] - f.box[0] >= 1.0
            and f.box[3] - f.box[1] >= 1.0
        ]
    return sorted(faces, key=lambda f: f.box)
