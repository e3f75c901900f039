"""CBAM's channel attention (Woo et al., ECCV 2018, Eq. 2)."""

import torch
from torch import Tensor, nn


class ChannelAttention(nn.Module):
    """Weighs channels: sigmoid(MLP(mean) + MLP(max)) * x, one MLP for both, reduction 16.

    (B, C, H, W) -> the same shape.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=False)
        self.expand = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mean = self._mlp(x.mean(dim=(2, 3), keepdim=True))
        peak = self._mlp(torch.amax(x, dim=(2, 3), keepdim=True))
        return x * torch.sigmoid(mean + peak)

    def _mlp(self, pooled: Tensor) -> Tensor:
        expanded: Tensor = self.expand(torch.relu(self.reduce(pooled)))
        return expanded
