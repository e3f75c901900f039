"""The network as an ONNX graph: Laplacian, mean of 16 x 16 px, one weight and one bias."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32) / 3.0


def edge_graph(weight: float, bias: float) -> bytes:
    """image (B, 3, 128, 128) -> p (B,), maps (B, 8, 8). The weights are constants of the graph."""
    constants = {
        "kernel": np.broadcast_to(LAPLACIAN, (1, 3, 3, 3)).copy(),
        "weight": np.array(weight, np.float32),
        "bias": np.array(bias, np.float32),
        "one": np.array([1], np.int64),
        "map_axes": np.array([1, 2], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["edges"], pads=[1, 1, 1, 1]),
        helper.make_node("Abs", ["edges"], ["energy"]),
        helper.make_node(
            "AveragePool", ["energy"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]
        ),
        helper.make_node("Squeeze", ["pooled", "one"], ["maps"]),
        helper.make_node("ReduceMean", ["maps", "map_axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "weight"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["p"]),
    ]
    graph = helper.make_graph(
        nodes,
        "edges",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 3, 128, 128])],
        [
            helper.make_tensor_value_info("p", TensorProto.FLOAT, ["B"]),
            helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["B", 8, 8]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
