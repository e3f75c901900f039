"""Faces of a video: found, followed, cut. Finders stand behind one interface.

Loaded when asked for: a command that only lists what is at hand must not load a runtime.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_BUILT = {"build_face_detector", "fetch_retinaface"}


def __getattr__(name: str) -> Any:
    if name in _BUILT:
        from ingest.faces.finders import build  # noqa: PLC0415

        return getattr(build, name)
    if name in __all__:
        from ingest.faces.finders import face  # noqa: PLC0415

        return getattr(face, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
