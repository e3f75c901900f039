"""A plugin's network as training starts it: random, on ImageNet trunks, or from a bundle."""

import inspect
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from detect_plugins.layers.timm_model import TimmTensors
from trainers.config import TrainConfig
from trainers.training.starts.imagenet import ImageNet
from unmask.errors import ConfigError


def starting_network(detector: Any, architecture: Any, imagenet: TimmTensors | None) -> nn.Module:
    """`detector`'s network; its trunks from `imagenet` where that is given.

    Raises ConfigError where there are no weights, or none that fit.
    """
    if imagenet is None:
        network: nn.Module = detector.Network(architecture)
        return network
    if "pretrained" not in inspect.signature(detector.Network).parameters:
        raise ConfigError(
            f"{detector.__name__}.Network takes no `pretrained`.",
            fix="Set pretrained = false, or let it take one (docs/how-to/add-a-plugin.md).",
        )
    try:
        started: nn.Module = detector.Network(architecture, pretrained=imagenet)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"ImageNet weights do not fit this architecture: {str(error).splitlines()[0]}",
            fix="Give the checkpoint of the same timm model, or set pretrained = false.",
        ) from error
    return started


def trunk_names(detector: Any, architecture: Any) -> tuple[str, ...]:
    """timm's names of the trunks that ImageNet weights would fill, each once. Builds nothing real."""
    asked: list[str] = []

    def note(name: str) -> dict[str, Tensor]:
        asked.append(name)
        raise _Asked

    # A network asks for all its trunks by one config, so the first name is the only one.
    try:
        with torch.device("meta"):
            starting_network(detector, architecture, note)
    except (_Asked, ConfigError, NotImplementedError):
        pass
    return tuple(dict.fromkeys(asked))


def start_in_words(
    config: TrainConfig, detector: Any, architecture: Any, imagenet: ImageNet
) -> str:
    """What the trunks will truly start from, for a plan and a run's card."""
    if config.init:
        return f"the tensors of {config.init} that fit"
    if not config.pretrained:
        return "random weights"
    names = trunk_names(detector, architecture)
    if not names:
        return "nothing: this architecture takes no ImageNet weights"
    found = imagenet.source(names[0])
    return f"{names[0]} of ImageNet, " + (f"from {found}" if found else "which are not here")


class _Asked(Exception):
    """The network named the weights that it wants."""


def start_from(network: nn.Module, bundle: Path) -> int:
    """Load what fits of a bundle's tensors, the rest stays as it was; returns how many fitted.

    Raises ConfigError where nothing does.
    """
    path = bundle if bundle.is_file() else bundle / "weights.safetensors"
    own = network.state_dict()
    found = {k: v for k, v in load_file(path).items() if k in own and own[k].shape == v.shape}
    if not found:
        raise ConfigError(
            f"nothing in {path} fits this network.", fix="Check init and architecture."
        )
    network.load_state_dict({k: v.to(own[k].dtype) for k, v in found.items()}, strict=False)
    return len(found)
