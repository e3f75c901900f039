"""The three networks of MTCNN as ONNX graphs, built from the weights that the mtcnn wheel carries.

The wheel's own code wants TensorFlow; its weights are plain arrays. They are stored as a pickle, so
each file is compared with the hash it had when it was looked at, before it is opened.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from unmask.plugin import Images
from unmask.system.hashing import file_sha256
from unmask.system.safe_openvino import core

_SHA256 = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
#: Of the patches that the second and third network see, pixels.
SIDES = {"rnet": 24, "onet": 48}
#: Layers between input and heads: convolution, max pooling (side, whether it is padded), dense.
_TRUNKS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "pnet": (("conv",), ("pool", 2, True), ("conv",), ("conv",)),
    "rnet": (("conv",), ("pool", 3, True), ("conv",), ("pool", 3, False), ("conv",), ("dense",)),
    "onet": (
        ("conv",),
        ("pool", 3, True),
        ("conv",),
        ("pool", 3, False),
        ("conv",),
        ("pool", 2, True),
        ("conv",),
        ("dense",),
    ),
}
_HEADS = {
    "pnet": ("boxes", "classes"),
    "rnet": ("boxes", "classes"),
    "onet": ("boxes", "marks", "classes"),
}


def weight_files() -> dict[str, Path] | None:
    """The wheel's three files, as they were when they were looked at; None where they are not."""
    spec = find_spec("mtcnn")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "assets" / "weights"
    files = {name: folder / f"{name}.lz4" for name in _SHA256}
    for name, path in files.items():
        if not path.is_file() or file_sha256(path) != _SHA256[name]:
            return None
    return files


def build_graph(name: str, path: Path) -> bytes:
    """Serialised ONNX of pnet, rnet or onet: (N, 3, H, W) in -1..1 RGB -> the heads of `_HEADS`."""
    weights: Iterator[NDArray[np.float32]] = iter(joblib.load(path))
    graph = _Graph()
    at = "image"
    flat = False
    for kind, *how in _TRUNKS[name]:
        if kind == "conv":
            at = graph.prelu(
                graph.conv(at, next(weights), next(weights)), next(weights), (-1, 1, 1)
            )
        elif kind == "pool":
            side, padded = how
            at = graph.pool(at, side, padded)
        else:
            at = graph.prelu(
                graph.dense(graph.flat(at), next(weights), next(weights)), next(weights), (-1,)
            )
            flat = True
    for head in _HEADS[name]:
        kernel, bias = next(weights), next(weights)
        found = graph.dense(at, kernel, bias) if flat else graph.conv(at, kernel, bias)
        graph.name(found, head, softmax=head == "classes")
    return graph.serialised(_HEADS[name], 2 if flat else 4)


def compiled(name: str, path: Path, *, together: int | None) -> Any:
    """An infer request of one of the three on one thread; `together`: for so many patches at a time, None
    for a picture of any size."""
    model = core().read_model(build_graph(name, path))
    if together is not None:
        model.reshape([together, 3, SIDES[name], SIDES[name]])
    # Not pinned: another process's thread may have been pinned to the same core.
    properties = {
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    return core().compile_model(model, "CPU", properties).create_infer_request()


def normalised(images: Images) -> NDArray[np.float32]:
    """(N, H, W, 3) uint8 RGB as the networks take it, (N, 3, H, W) in -1..1."""
    scaled: NDArray[np.float32] = (images.astype(np.float32) - np.float32(127.5)) / np.float32(128)
    return scaled.transpose(0, 3, 1, 2)


class _Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def conv(self, at: str, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        return self._add(
            "Conv", at, self._constant(kernel.transpose(3, 2, 0, 1)), self._constant(bias)
        )

    def dense(self, at: str, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        return self._add("Gemm", at, self._constant(kernel), self._constant(bias))

    def prelu(self, at: str, slope: NDArray[np.float32], shape: tuple[int, ...]) -> str:
        return self._add("PRelu", at, self._constant(slope.reshape(shape)))

    def pool(self, at: str, side: int, padded: bool) -> str:
        return self._add(
            "MaxPool",
            at,
            kernel_shape=[side, side],
            strides=[2, 2],
            auto_pad="SAME_UPPER" if padded else "VALID",
        )

    def flat(self, at: str) -> str:
        # The dense weights go column by column: width, height, channel.
        return self._add("Flatten", self._add("Transpose", at, perm=[0, 3, 2, 1]), axis=1)

    def name(self, at: str, head: str, *, softmax: bool) -> None:
        kind = "Softmax" if softmax else "Identity"
        options = {"axis": 1} if softmax else {}
        self._nodes.append(helper.make_node(kind, [at], [head], **options))

    def serialised(self, heads: tuple[str, ...], rank: int) -> bytes:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
        outputs = [
            helper.make_tensor_value_info(h, TensorProto.FLOAT, [None] * rank) for h in heads
        ]
        graph = helper.make_graph(self._nodes, "mtcnn", [image], outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        return bytes(model.SerializeToString())

    def _constant(self, value: NDArray[np.float32]) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(
            numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name)
        )
        return name

    def _add(self, kind: str, *inputs: str, **options: Any) -> str:
        name = f"node{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **options))
        return name
