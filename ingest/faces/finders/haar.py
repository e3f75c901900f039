"""OpenCV's own cascades (Viola and Jones 2001): the offline fallback, and a weak one."""

from pathlib import Path

import cv2
import numpy as np

from ingest.faces.finders.face import Face, suppress
from ingest.faces.finders.one_way_round import one_way_round
from unmask.plugin import Images

_LONGEST_PX = 640
_MIN_SIDE_PX = 24
#: Cascade, least number of agreeing windows, whether the mirrored frame is searched too. The first
#: one imagines the fewest faces, the second needs more windows to be believed, the third knows heads
#: turned to one side only.
_CASCADES = (
    ("haarcascade_frontalface_alt2.xml", 4, False),
    ("haarcascade_frontalface_default.xml", 9, False),
    ("haarcascade_profileface.xml", 7, True),
)


class Haar:
    """Three cascades, merged. Misses turned, small and dark faces; imagines some."""

    weak = True
    name = f"haar@opencv-{cv2.__version__}"
    #: Its windows know no other direction: it is asked again only where it finds nothing.
    upright_score = 0.0
    tilt_weight = 0.0

    def __init__(self) -> None:
        folder = Path(cv2.__file__).parent / "data"
        self._cascades = [
            (cv2.CascadeClassifier(str(folder / file)), neighbours, mirrored)
            for file, neighbours, mirrored in _CASCADES
        ]

    def detect(self, rgb: Images) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right."""
        return one_way_round(rgb, _LONGEST_PX, self._detect)

    def _detect(self, small: Images) -> list[Face]:
        grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        faces: list[Face] = []
        for cascade, neighbours, mirrored in self._cascades:
            faces += _search(cascade, grey, neighbours)
            if mirrored:
                flipped = np.ascontiguousarray(grey[:, ::-1])
                width = small.shape[1]
                for face in _search(cascade, flipped, neighbours):
                    x0, y0, x1, y1 = face.box
                    faces.append(Face(box=(width - x1, y0, width - x0, y1), score=face.score))
        return _inside_one_another(suppress(faces, 0.3))


def _search(cascade: cv2.CascadeClassifier, grey: Images, neighbours: int) -> list[Face]:
    boxes, _, weights = cascade.detectMultiScale3(
        grey,
        scaleFactor=1.15,
        minNeighbors=neighbours,
        minSize=(_MIN_SIDE_PX, _MIN_SIDE_PX),
        outputRejectLevels=True,
    )
    faces = []
    for box, weight in zip(np.reshape(boxes, (-1, 4)), np.ravel(weights), strict=True):
        x, y, w, h = np.asarray(box, dtype=np.float64).tolist()
        # The last stage's sum is no probability; squashed, it orders faces for the suppression.
        score = float(1.0 / (1.0 + np.exp(-0.5 * float(weight))))
        faces.append(Face(box=(x, y, x + w, y + h), score=score))
    return faces


def _inside_one_another(faces: list[Face]) -> list[Face]:
    """Drop a box whose centre lies in a more certain one: cascades find faces within faces."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: -f.score):
        x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
        if not any(k.box[0] < x < k.box[2] and k.box[1] < y < k.box[3] for k in kept):
            kept.append(face)
    return kept
