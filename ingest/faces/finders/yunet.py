"""YuNet (Wu et al., Machine Intelligence Research 2023) through OpenCV's FaceDetectorYN."""

from pathlib import Path

import cv2
import numpy as np

from ingest.faces.finders.face import Face
from ingest.faces.finders.one_way_round import one_way_round
from unmask.plugin import Images
from unmask.system.hashing import file_sha256

#: Longer side of what the network sees: a face of 48 px in a 1080p frame is still 16 px there,
#: and YuNet is trained from 10 px on.
_LONGEST_PX = 640


class YuNet:
    """A YuNet ONNX file. Cheap: some 5 ms per frame on one core at 640 px."""

    weak = False
    #: Upright faces have .93 or more at the tenth percentile, others .90 at the ninetieth.
    upright_score = 0.92
    tilt_weight = 0.0

    def __init__(
        self, path: Path, *, threshold: float = 0.7, longest_px: int = _LONGEST_PX
    ) -> None:
        """`threshold`: least confidence of a face, 0..1. `longest_px`: longer side that it sees.

        Raises cv2.error for a file of another kind.
        """
        self._longest_px = longest_px
        digest = file_sha256(path)
        self.name = f"yunet@{digest[:8]}"
        self._network = cv2.FaceDetectorYN.create(str(path), "", (320, 320), threshold, 0.3, 500)

    def detect(self, rgb: Images) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right."""
        return one_way_round(rgb, self._longest_px, self._detect)

    def _detect(self, small: Images) -> list[Face]:
        self._network.setInputSize((small.shape[1], small.shape[0]))
        _, rows = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if rows is None:
            return []
        faces = []
        for row in np.asarray(rows, dtype=np.float64):
            x, y, w, h = row[:4].tolist()
            # YuNet's first eye is the person's right one: the left one in the image.
            landmarks = row[4:14].reshape(5, 2).astype(np.float32)
            faces.append(
                Face(
                    box=(x, y, x + w, y + h),
                    score=min(1.0, max(0.0, float(row[14]))),
                    landmarks=landmarks,
                )
            )
        return faces
