"""The learnable comparison of every two local features (LLSM, III-B, Eq. 1).

Every head maps F (B, C, H, W) to logits (B, N, N), N = H * W cells row by row, of "cell i and cell
j differ in origin" (1 = different: the target of Eq. 4, the reverse of the paper's name for it).
README.md says why the literal single kernel, `AdditivePairs`, cannot fit that target.
"""

import torch
from torch import Tensor, nn

from detect_plugins.llsm.config import PairHeadName


def cells(features: Tensor) -> Tensor:
    """Unfold (B, C, H, W) into (B, H*W, C)."""
    return features.flatten(2).transpose(1, 2)


class AdditivePairs(nn.Module):
    """One 2x1xC kernel on each stacked pair: w1.a_i + w2.b_j + bias, an outer sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels, 1)
        self.second = nn.Linear(channels, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        x = cells(features)
        logits: Tensor = self.first(x) + self.second(x).transpose(1, 2)
        return logits


class HiddenPairs(nn.Module):
    """`hidden` such kernels, ReLU, then a 1x1 kernel: a shallow network that can express XOR."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels, hidden)
        self.second = nn.Linear(channels, hidden, bias=False)
        self.out = nn.Linear(hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        x = cells(features)
        both = self.first(x)[:, :, None, :] + self.second(x)[:, None, :, :]
        logits: Tensor = self.out(torch.relu(both))[..., 0]
        return logits


class AbsoluteDifferencePairs(nn.Module):
    """w . |W(a_i - a_j)| + b: symmetric, with a constant diagonal."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.project = nn.Linear(channels, hidden, bias=False)
        self.out = nn.Linear(hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        x = self.project(cells(features))
        logits: Tensor = self.out((x[:, :, None, :] - x[:, None, :, :]).abs())[..., 0]
        return logits


class BilinearPairs(nn.Module):
    """b - theta(a_i) . phi(a_j) / sqrt(hidden): the learnt inner product of PCL, turned around."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.theta = nn.Linear(channels, hidden)
        self.phi = nn.Linear(channels, hidden)
        self.bias = nn.Parameter(torch.zeros(()))
        self.scale = hidden**-0.5

    def forward(self, features: Tensor) -> Tensor:
        x = cells(features)
        product: Tensor = self.theta(x) @ self.phi(x).transpose(1, 2)
        logits: Tensor = self.bias - product * self.scale
        return logits


def build_pair_head(name: PairHeadName, channels: int, hidden: int) -> nn.Module:
    """The pair head of a config."""
    if name == "additive":
        return AdditivePairs(channels)
    heads = {
        "hidden": HiddenPairs,
        "absdiff": AbsoluteDifferencePairs,
        "bilinear": BilinearPairs,
    }
    return heads[name](channels, hidden)


def inconsistency_map(logits: Tensor, *, symmetrise: bool) -> Tensor:
    """Pair logits (B, N, N) -> the map to show, in 0..1, 1 = different origin."""
    if symmetrise:
        logits = (logits + logits.transpose(1, 2)) / 2.0
    return logits.sigmoid()


def odd_cells(inconsistency: Tensor, side: int) -> Tensor:
    """How much each cell differs from the rest: row means, (B, 1, side, side)."""
    return inconsistency.mean(dim=-1).reshape(-1, 1, side, side)
