"""The weights' exponential moving average, which is what ships."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def average_into(average: dict[str, Tensor], network: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average of the weights, with a warm-up so that the start is forgotten.

    Both lie on one device. Counters and other integers are copied. decay 0 copies everything.
    """
    keep = min(decay, (1 + step) / (10 + step))
    for name, value in network.state_dict().items():
        if decay > 0 and value.is_floating_point():
            average[name].lerp_(value, 1.0 - keep)
        else:
            average[name].copy_(value)


def averaged_network(network: nn.Module, average: dict[str, Tensor]) -> nn.Module:
    """The averaged weights in a network of their own, ready to be evaluated."""
    network.load_state_dict(average)
    return network.eval()
