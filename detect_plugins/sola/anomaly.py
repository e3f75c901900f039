"""First- and second-order local anomaly predictors (SOLA, section 3.3, Eq. 7-8)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FIRST_ORDER_KERNELS = 64


class Neighbour(NamedTuple):
    """A predecessor that a cell is compared with: `distance` cells up, or to the left."""

    name: str
    vertical: bool
    distance: int

    def pad(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) with its top or left edge repeated, so that border cells meet themselves."""
        edge = (0, 0, self.distance, 0) if self.vertical else (self.distance, 0, 0, 0)
        return F.pad(maps, edge, mode="replicate")

    def predecessor(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> for every cell, the cell that it is compared with; same shape."""
        height, width = maps.shape[-2:]
        return self.pad(maps)[..., :height, :width]

    def centred(self, maps: Tensor, order: int) -> Tensor:
        """(B, C, h, w) of this direction's maps, moved onto what they speak of; same shape.

        A cell is compared with one above it (to its left), so a first-order map lies half the distance
        too low (too far right), a second-order one the whole distance. The edge that moves out, whose
        cells met themselves and show nothing, fills the one that is freed: the mean stays.
        """
        moved = [self._moved(maps, cells) for cells in _around(order * self.distance)]
        return moved[0] if len(moved) == 1 else (moved[0] + moved[1]) / 2.0

    def _moved(self, maps: Tensor, cells: int) -> Tensor:
        if cells == 0:
            return maps
        if self.vertical:
            return torch.cat((maps[..., cells:, :], maps[..., :cells, :]), dim=-2)
        return torch.cat((maps[..., cells:], maps[..., :cells]), dim=-1)


def _around(halves: int) -> tuple[int, ...]:
    """Whole cells whose mean is `halves` half cells."""
    return (halves // 2,) if halves % 2 == 0 else (halves // 2, halves // 2 + 1)


def centred(maps: Tensor, order: int) -> Tensor:
    """(B, 4, h, w) maps of all directions, each moved onto what it speaks of; same shape."""
    parts = [n.centred(maps[:, i : i + 1], order) for i, n in enumerate(NEIGHBOURS)]
    return torch.cat(parts, dim=1)


#: In the order of the paper's stacks; (y, x) is compared with (y-1, x), (y-2, x), (y, x-1), (y, x-2).
NEIGHBOURS = (
    Neighbour("v1", vertical=True, distance=1),
    Neighbour("v2", vertical=True, distance=2),
    Neighbour("h1", vertical=False, distance=1),
    Neighbour("h2", vertical=False, distance=2),
)


class AnomalyPredictor(nn.Module):
    """delta or phi for one neighbour: a two-tap convolution, dilated by the distance.

    (B, C, h, w) -> logits (B, kernels, h, w). With `difference`, |a - b| is a further input.
    """

    def __init__(
        self, channels: int, kernels: int, neighbour: Neighbour, *, difference: bool = False
    ) -> None:
        super().__init__()
        self.neighbour = neighbour
        taps = (2, 1) if neighbour.vertical else (1, 2)
        step = (neighbour.distance, 1) if neighbour.vertical else (1, neighbour.distance)
        self.pair = nn.Conv2d(channels, kernels, taps, dilation=step)
        self.difference = nn.Conv2d(channels, kernels, 1, bias=False) if difference else None

    def forward(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.pair(self.neighbour.pad(maps))
        if self.difference is not None:
            logits = logits + self.difference((maps - self.neighbour.predecessor(maps)).abs())
        return logits


class SecondOrderAnomaly(nn.Module):
    """Features (B, C, h, w) -> first-order logits (B, 4, 64, h, w) and second-order (B, 4, h, w)."""

    def __init__(self, channels: int, *, difference: bool = False) -> None:
        super().__init__()
        self.delta = nn.ModuleList(
            AnomalyPredictor(channels, FIRST_ORDER_KERNELS, neighbour, difference=difference)
            for neighbour in NEIGHBOURS
        )
        self.phi = nn.ModuleList(
            AnomalyPredictor(FIRST_ORDER_KERNELS, 1, neighbour) for neighbour in NEIGHBOURS
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        first = [delta(features) for delta in self.delta]
        second = [phi(torch.sigmoid(maps)) for phi, maps in zip(self.phi, first, strict=True)]
        return torch.stack(first, dim=1), torch.cat(second, dim=1)
