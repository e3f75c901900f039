"""What a network's weights are before the first step, where not random."""

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from detect_plugins.layers.efficientnet import EfficientNetStages, EfficientNetTrunk
from trainers.training.imagenet_lite import fill_lite0
from unmask.errors import ConfigError


def fill_pretrained(network: nn.Module) -> None:
    """ImageNet weights that a package carries, for the trunk or streams that have them. Nothing is fetched."""
    trunk = getattr(network, "trunk", None)
    streams = [m for m in network.modules() if isinstance(m, EfficientNetStages)]
    if isinstance(trunk, EfficientNetTrunk):
        fill_lite0(trunk)
    elif streams:
        _fill_streams(streams)
    else:
        raise ConfigError(
            "there are no ImageNet weights at hand for this network.",
            fix="Set pretrained = false, or give a bundle as init.",
        )


def _fill_streams(streams: Sequence[EfficientNetStages]) -> None:
    whole = EfficientNetTrunk("efficientnet_lite0")
    fill_lite0(whole)
    given = EfficientNetStages(whole).state_dict()
    for stream in streams:
        if stream.stem[0].in_channels != whole.stem[0].in_channels:
            raise ConfigError(
                f"no ImageNet weights fit a stream of {stream.stem[0].in_channels} channels.",
                fix="Set architecture.depthwise = false, or pretrained = false.",
            )
        stream.load_state_dict(given)


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
