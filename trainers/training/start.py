"""What a network's weights are before the first step, where not random."""

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from detect_plugins.layers.efficientnet import EfficientNetTrunk
from trainers.training.imagenet_lite import fill_lite0
from unmask.errors import ConfigError


def fill_pretrained(network: nn.Module) -> None:
    """ImageNet weights that a package carries, for the trunk that has them. Nothing is fetched."""
    trunk = getattr(network, "trunk", None)
    if not isinstance(trunk, EfficientNetTrunk):
        raise ConfigError(
            "there are no ImageNet weights at hand for this network.",
            fix="Set pretrained = false, or give a bundle as init.",
        )
    fill_lite0(trunk)


def start_from(network: nn.Module, bundle: Path) -> None:
    """Load what fits of a bundle's tensors; says nothing about the rest, which stays random."""
    path = bundle if bundle.is_file() else bundle / "weights.safetensors"
    own = network.state_dict()
    found = {k: v for k, v in load_file(path).items() if k in own and own[k].shape == v.shape}
    if not found:
        raise ConfigError(
            f"nothing in {path} fits this network.", fix="Check init and architecture."
        )
    network.load_state_dict({k: v.to(own[k].dtype) for k, v in found.items()}, strict=False)
