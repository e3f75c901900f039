"""Layers of ImageNet networks, frozen: means, spreads and change over neighbouring frames."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detect_plugins.layers.normalise import Normalise
from detect_plugins.torchvision_guard import timm
from research.heldout.imagenet_start import from_package
from unmask.system.safe_openvino import ov

EVERY = 4
_TURNED = slice(12, 180)
"""1.36 faces of the square's 1.55."""


class Layers(nn.Module):
    """A timm trunk -> per picture the mean and spread of every stage, and the last stage's pooled vector."""

    def __init__(self, name: str, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.trunk = timm.create_model(name, features_only=True, out_indices=(0, 1, 2, 3, 4))
        missing, _ = self.trunk.load_state_dict(tensors, strict=False)
        if [m for m in missing if "num_batches" not in m]:
            raise ValueError(f"{name} lacks {missing[:3]}")

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) in 0..1 -> (B, n)."""
        out = []
        for stage in self.trunk(self.normalise(image)):
            out += [stage.mean((2, 3)), stage.std((2, 3))]
        return torch.cat(out, 1)


def widths(name: str) -> list[int]:
    """How many numbers of `Layers` each stage gives."""
    trunk = timm.create_model(name, features_only=True, out_indices=(0, 1, 2, 3, 4))
    return [2 * n for n in trunk.feature_info.channels()]


def compiled(name: str) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Frames (T, S, S, 3) -> (T, n), one thread."""
    model = Layers(name, from_package(name)).eval()
    side = _TURNED.stop - _TURNED.start
    graph = ov.convert_model(
        model, example_input=torch.zeros(1, 3, side, side), input=[-1, 3, side, side]
    )
    net = ov.compile_model(
        graph, "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    )

    def run(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        x = frames[:, _TURNED, _TURNED].transpose(0, 3, 1, 2).astype(np.float32) / 255
        return np.asarray(next(iter(net(x).values())), np.float32)

    return run


def still_and_moving(values: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(T, n) of neighbours -> the run's mean (n,); log of its change, and the second change against the first."""
    first, second = np.diff(values, axis=0), np.diff(values, 2, axis=0)
    spread = values.std(0) + np.abs(values.mean(0)) * 0.1 + 1e-3
    change = np.log(np.abs(first).mean(0) / spread + 0.01)
    again = np.log((np.abs(second).mean(0) + 1e-3) / (np.abs(first).mean(0) + 1e-3))
    return values.mean(0), np.concatenate([change, again])


def curvature(values: NDArray[np.float32], widths: list[int]) -> NDArray[np.float32]:
    """Of the path that each stage's vector takes through time: steps, angles between them, second differences."""
    found: list[float] = []
    begin = 0
    for width in widths:
        x = values[:, begin : begin + width]
        begin += width
        step = np.diff(x, axis=0)
        size = np.linalg.norm(step, axis=1)
        turn = (step[1:] * step[:-1]).sum(1) / (size[1:] * size[:-1] + 1e-6)
        second = np.linalg.norm(np.diff(step, axis=0), axis=1)
        length = np.linalg.norm(x, axis=1).mean()
        found += [
            float(np.log(size.mean() / length + 1e-4)), float(np.log(size.std() / (size.mean() + 1e-6) + 0.01)),
            float(turn.mean()), float(turn.std()), float(turn.min()),
            float(np.log(second.std() / (second.mean() + 1e-6) + 0.01)), float(np.log(second.mean() / (size.mean() + 1e-6))),
            float(np.linalg.norm(x[-1] - x[0]) / (size.sum() + 1e-6)),
        ]  # fmt: skip
    return np.array(found, np.float32)
