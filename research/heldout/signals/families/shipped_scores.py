"""What installed bundles say of a run's frames, and what their networks see."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detect_plugins.layers.efficientnet import pooled
from research.heldout.bundle_scores import view
from trainers.bundles.load_bundle import load_from_folder
from unmask.system.safe_openvino import ov

LOOKED = slice(10, None, 20)
"""Which frames of a run are judged: two."""


class Seen(nn.Module):
    """A network -> p, and its last pooled vector where it is an EfficientNet."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        p, _ = self.network.export_forward(image)
        if not hasattr(self.network, "normalise"):
            return p, image.new_zeros((image.shape[0], 1))
        taps, head = self.network.trunk(self.network.normalise(image))
        return p, torch.cat([pooled(head), pooled(taps[1]), pooled(taps[2])], 1)


def judges(
    bundles: dict[str, Path],
) -> dict[str, Callable[[NDArray[np.uint8]], tuple[Any, Any]]]:
    """By plugin: frames (T, S, S, 3) of the square -> p (T,) and what the network saw (T, n)."""
    found = {}
    for plugin, folder in bundles.items():
        detector: Any = load_from_folder(plugin, folder)
        found[plugin] = _judge(detector)
    return found


def _judge(detector: Any) -> Callable[[NDArray[np.uint8]], tuple[Any, Any]]:
    side, scale = detector.input_px, detector.manifest.crop_scale
    module = Seen(detector.network) if hasattr(detector.network, "trunk") else None
    graph = ov.convert_model(
        module if module is not None else detector.serving(),
        example_input=torch.zeros(1, 3, side, side),
        input=[-1, 3, side, side],
    )
    net = ov.compile_model(
        graph, "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    )

    def run(frames: NDArray[np.uint8]) -> tuple[Any, Any]:
        x = np.stack([view(f, scale, side) for f in frames])
        out = list(net(x.transpose(0, 3, 1, 2).astype(np.float32) / 255).values())
        return np.asarray(out[0]).ravel(), np.asarray(out[1]) if module is not None else None

    return run
