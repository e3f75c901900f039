"""What every network's forward returns."""

from typing import NamedTuple

from torch import Tensor


class NetworkOutput(NamedTuple):
    """One forward pass, for training; serving uses `export_forward`."""

    logit: Tensor
    """(B, 1), positive = forged."""
    heatmap: Tensor
    """(B, 1, h, w) in 0..1 at the network's native map resolution."""
    aux: dict[str, Tensor]
    """What only the loss needs, by name; each network's docstring lists its entries."""
