"""Meso-4 (Afchar et al., WIFS 2018, section III-A, Fig. 4)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detect_plugins.layers.exported import Exported
from detect_plugins.layers.network_output import NetworkOutput
from unmask.frozen import Frozen

_SLOPE = 0.1
_CHANNELS = (8, 8, 16, 16)
_KERNELS = (3, 5, 5, 5)
_POOLS = (2, 2, 2, 4)
_HIDDEN = 16


class MesoNet4Config(Frozen):
    """The paper's network has no switches but its input."""

    input_px: int = 256

    @property
    def map_px(self) -> int:
        """Side of the last feature map: 8 at 256."""
        return self.input_px // 32


class MesoNet4(Exported):
    """Image (B, 3, S, S) in 0..1 -> classifier and contribution map. aux: "features" (B, 16)."""

    def __init__(self, config: MesoNet4Config) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before = 3
        for channels, kernel, pool in zip(_CHANNELS, _KERNELS, _POOLS, strict=True):
            blocks += [
                nn.Conv2d(before, channels, kernel, padding=kernel // 2),
                nn.ReLU(),
                nn.BatchNorm2d(channels),
                nn.MaxPool2d(pool),
            ]
            before = channels
        self.trunk = nn.Sequential(*blocks)
        self.side = config.map_px
        self.dropout = nn.Dropout(0.5)
        self.hidden = nn.Linear(before * self.side * self.side, _HIDDEN)
        self.fc = nn.Linear(_HIDDEN, 1)

    def forward(self, image: Tensor) -> NetworkOutput:
        cells = self.trunk(image)
        before = self.hidden(self.dropout(cells.flatten(1)))
        hidden = F.leaky_relu(before, _SLOPE)
        logit = self.fc(self.dropout(hidden))
        return NetworkOutput(logit, self._contributions(cells, before), {"features": hidden})

    def _contributions(self, cells: Tensor, before: Tensor) -> Tensor:
        """What each cell adds to the logit, where it adds: (B, 1, h, w) >= 0.

        Exact up to the biases, without a gradient: the head is linear on each side of its leaky
        ReLUs, so a unit's weight is known once its sign is.
        """
        slope = torch.where(before > 0, 1.0, _SLOPE)
        weights = (slope * self.fc.weight) @ self.hidden.weight
        return F.relu((weights.reshape(cells.shape) * cells).sum(dim=1, keepdim=True))
