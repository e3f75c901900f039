"""Go on from a finder that was written: its folded weights back in a network that can be trained.

The file has no batch normalisation left, it is part of the convolutions. To train on, each layer gets
statistics of its own inputs, and a scale and shift that undo them: the network answers as the file does.
"""

from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from trainers.finder.finder_network import FinderNetwork
from unmask.errors import ConfigError


def read_finder(path: Path, samples: Tensor) -> FinderNetwork:
    """The network of `path`; `samples` (N, 3, H, W) RGB 0..255 give the statistics.

    Raises ConfigError where the file holds another network.
    """
    network = FinderNetwork().eval()
    held = {i.name: i for i in onnx.load(path).graph.initializer}
    folded = dict(_normalised(network))
    with torch.no_grad():
        for name, conv in _convolutions(network):
            bias = f"{name}.weight_bias" if name in folded else f"{name}.bias"
            for key, into in ((f"{name}.weight", conv.weight), (bias, _bias(conv, folded, name))):
                if key not in held:
                    if into is None:
                        continue
                    raise ConfigError(f"{path.name} has no {key}.", fix="Use a Scout's scout.onnx.")
                found = torch.from_numpy(numpy_helper.to_array(held[key]).copy())
                if into is None or found.shape != into.shape:
                    raise ConfigError(
                        f"{key} of {path.name} has another shape.", fix="Use a Scout's scout.onnx."
                    )
                into.copy_(found)
        hooks = [norm.register_forward_pre_hook(_restore) for norm in folded.values()]
        network(samples)
    for hook in hooks:
        hook.remove()
    return network


def _restore(norm: nn.Module, inputs: tuple[Tensor]) -> None:
    """Statistics of what comes in, undone by scale and shift: as before, x + bias."""
    assert isinstance(norm, nn.BatchNorm2d)  # noqa: S101 (only these are hooked)
    (x,) = inputs
    mean, spread = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    shift = norm.bias.clone()
    norm.running_mean, norm.running_var = mean, spread
    norm.weight.copy_((spread + norm.eps).sqrt())
    norm.bias.copy_(shift + mean)


def _convolutions(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    return ((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))


def _normalised(network: nn.Module) -> Iterator[tuple[str, nn.BatchNorm2d]]:
    """By the convolution that each follows."""
    last = ""
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            yield last, module
        elif isinstance(module, nn.Conv2d):
            last = name


def _bias(conv: nn.Conv2d, folded: dict[str, nn.BatchNorm2d], name: str) -> Tensor | None:
    return folded[name].bias if name in folded else conv.bias
