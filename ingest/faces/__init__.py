"""Face detectors behind one interface, chosen by `UNMASK_FACE_DETECTOR`."""

from ingest.faces.finders.build import build_face_detector, fetch_retinaface
from ingest.faces.finders.face import (
    Face,
    FaceDetector,
    QuickDetector,
    UprightDetector,
    in_order,
    shrink,
)

__all__ = [
    "Face",
    "FaceDetector",
    "QuickDetector",
    "UprightDetector",
    "build_face_detector",
    "fetch_retinaface",
    "in_order",
    "shrink",
]
