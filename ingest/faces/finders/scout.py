"""Scout: the finder that trainers/finder/ trains, of YuNet's kind and size.

One pass, three strides; one score, box and five landmarks for each cell. It draws boxes as MTCNN does,
because the shipped detectors' thresholds hang on the crops' geometry. No weights of it ship: what was
trained so far does not find enough (docs/how-to/train-a-finder.md has the table).
"""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from ingest.faces.finders.face import Face, moved, shrink, suppress
from ingest.faces.finders.one_way_round import one_way_round
from unmask.plugin import Images
from unmask.system.hashing import file_sha256
from unmask.system.safe_openvino import ov

#: The graph's outputs, by stride.
OUTPUTS = {"fine": 8, "middle": 16, "coarse": 32}
#: Longer side of what the network sees; a smaller frame is seen as it is.
_LONGEST_PX = 800
#: It learns faces up to some 250 px: larger ones are found on a frame of this size, for little.
_SMALL_PX = 256
#: Of a face there; smaller ones were seen better before.
_LARGE_PX = 48.0
#: The network halves five times: sides are filled up to multiples.
_MULTIPLE = 32
_OVERLAP = 0.4
#: Compiled for so many input sizes: a video's frames, their quick looks and a few close-ups.
_SIZES_KEPT = 12

Floats = NDArray[np.float32]


class Scout:
    """One small network on one thread, run by OpenVINO in full precision."""

    weak = False
    #: A quarter of the pixels, and so faces of twice the least size.
    quick_px = _LONGEST_PX // 2

    def __init__(self, weights: Path, *, threshold: float = 0.5) -> None:
        """`weights`: what trainers/finder wrote. `threshold`: least confidence of a face, 0..1."""
        self.name = f"scout@{file_sha256(weights)[:8]}"
        self._core = ov.Core()
        self._graph = weights
        self._sure = float(np.log(threshold / (1.0 - threshold)))
        self._compiled: OrderedDict[tuple[int, int], Any] = OrderedDict()

    def detect(self, rgb: Images) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right."""
        return one_way_round(rgb, _LONGEST_PX, self._detect)

    def _detect(self, small: Images) -> list[Face]:
        faces = self._seen(small)
        if max(small.shape[:2]) > _SMALL_PX:
            smaller, factor = shrink(small, _SMALL_PX)
            large = (f for f in self._seen(smaller) if f.box[2] - f.box[0] > _LARGE_PX)
            faces += [moved(face, factor) for face in large]
        return suppress(faces, _OVERLAP)

    def _seen(self, small: Images) -> list[Face]:
        height, width = (-(-side // _MULTIPLE) * _MULTIPLE for side in small.shape[:2])
        canvas = np.zeros((1, height, width, 3), np.uint8)
        canvas[0, : small.shape[0], : small.shape[1]] = small
        request = self._network(height, width)
        request.infer([canvas], share_inputs=True)
        return [
            face
            for name, stride in OUTPUTS.items()
            for face in self._faces(request.get_tensor(name).data[0], stride)
        ]

    def _faces(self, values: Floats, stride: int) -> list[Face]:
        """Of one stride's (15, H, W): trainers/finder/targets.py says what stands where."""
        ys, xs = np.nonzero(values[0] > self._sure)
        found = values[:, ys, xs].astype(np.float64)
        cells = (np.stack([xs, ys]) + 0.5) * stride
        centres = cells + found[1:3] * stride
        halves = np.exp(np.minimum(found[3:5], 6.0)) * stride / 2
        marks = cells[None] + found[5:].reshape(5, 2, -1) * stride
        corners = np.concatenate([centres - halves, centres + halves])
        scores = 1.0 / (1.0 + np.exp(-found[0]))
        return [
            Face(
                box=_box(corners[:, n]),
                score=float(scores[n]),
                landmarks=marks[:, :, n].astype(np.float32),
            )
            for n in range(len(ys))
        ]

    def _network(self, height: int, width: int) -> Any:
        """An infer request for that input size, (1, height, width, 3) uint8."""
        size = (height, width)
        if size not in self._compiled:
            self._compiled[size] = self._compile(height, width)
            if len(self._compiled) > _SIZES_KEPT:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(size)
        return self._compiled[size]

    def _compile(self, height: int, width: int) -> Any:
        model = self._core.read_model(self._graph)
        model.reshape([1, 3, height, width])
        # Bytes go in as they lie; the graph makes them floats, which numpy would do more slowly.
        steps = PrePostProcessor(model)
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        steps.input().model().set_layout(ov.Layout("NCHW"))
        properties = {
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
            # Not pinned: another process's thread may have been pinned to the same core.
            "ENABLE_CPU_PINNING": False,
        }
        return self._core.compile_model(steps.build(), "CPU", properties).create_infer_request()


def _box(corners: NDArray[np.float64]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(value) for value in corners)
    return x0, y0, x1, y1
