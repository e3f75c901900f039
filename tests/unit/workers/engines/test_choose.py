"""The order in which engines are tried."""

import pytest

from unmask.errors import ConfigError
from unmask.settings import Settings
from workers.engines.choose import candidates, resolve_device


@pytest.mark.parametrize(
    ("given", "device", "has_bf16", "expected"),
    [
        ({}, "cpu", True, ["openvino-bf16", "openvino-fp32", "onnxruntime-fp32", "torch-fp32"]),
        ({}, "cpu", False, ["openvino-fp32", "onnxruntime-fp32", "torch-fp32"]),
        ({}, "cuda:1", False, ["tensorrt-fp16", "inductor-fp16", "inductor-fp32", "torch-fp32"]),
        ({"engine": "torch"}, "cpu", True, ["torch-fp32"]),
        (
            {"engine": "openvino", "precision": "int8"},
            "cpu",
            True,
            ["openvino-int8", "openvino-bf16"],
        ),
        ({"engine": "openvino"}, "cpu", False, ["openvino-fp32", "onnxruntime-fp32"]),
        ({"engine": "tensorrt"}, "cpu", True, ["tensorrt-fp16", "openvino-bf16"]),
        (
            {"precision": "fp32"},
            "cpu",
            True,
            ["openvino-fp32", "onnxruntime-fp32", "torch-fp32"],
        ),
        ({"precision": "bf16"}, "cpu", True, ["openvino-bf16", "torch-bf16", "openvino-fp32"]),
    ],
)
def test_engines_are_tried_in_this_order(given, device, has_bf16, expected):
    order = candidates(Settings(**given), device, has_bf16=has_bf16)
    assert [f"{name}-{precision}" for name, precision in order][: len(expected)] == expected


@pytest.mark.parametrize(
    "engine", ["auto", "torch", "openvino", "onnxruntime", "tensorrt", "inductor"]
)
@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16", "fp16", "int8"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_reference_closes_every_list_and_nothing_is_tried_twice(engine, precision, device):
    order = candidates(Settings(engine=engine, precision=precision), device)
    assert order[-1] == ("torch", "fp32")
    assert len(order) == len(set(order))
    assert all(pair[1] != "auto" for pair in order)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_nothing_less_precise_than_asked_for_is_tried(precision):
    order = candidates(Settings(precision=precision), "cpu", has_bf16=True)
    assert {pair[1] for pair in order} <= {precision, "fp32"}


def test_an_unknown_device_is_named():
    with pytest.raises(ConfigError, match="tpu"):
        resolve_device("tpu")
    assert resolve_device("cpu") == "cpu"
