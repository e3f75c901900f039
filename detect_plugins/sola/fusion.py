"""What joins and sharpens the two streams: DCAM (SOLA, section 3.1) and LEM (section 3.2)."""

import torch
from torch import Tensor, nn

from detect_plugins.layers.channel_attention import ChannelAttention


class Dcam(nn.Module):
    """Dual channel attention: attention, 1x1 fusion of the two streams, attention again.

    rgb, noise: (B, C, H, W) each -> (B, C, H, W). Without `attention` only the fusion is left.
    `signed` is for trunks whose stages give both signs: the fusion then keeps them, and starts as the
    RGB stream alone, so that what a pretrained stage after it expects arrives from the first step on.
    """

    def __init__(self, channels: int, *, attention: bool = True, signed: bool = False) -> None:
        super().__init__()
        self.before = ChannelAttention(2 * channels) if attention else nn.Identity()
        fuse = nn.Conv2d(2 * channels, channels, 1, bias=False)
        if signed:
            nn.init.dirac_(fuse.weight)
        self.fuse = nn.Sequential(
            fuse, nn.BatchNorm2d(channels), nn.Identity() if signed else nn.ReLU()
        )
        self.after = ChannelAttention(channels) if attention else nn.Identity()

    def forward(self, rgb: Tensor, noise: Tensor) -> Tensor:
        fused: Tensor = self.after(self.fuse(self.before(torch.cat((rgb, noise), dim=1))))
        return fused


class Lem(nn.Module):
    """Local enhancement: attention among the pixels of each patch, never across patches (Eq. 5-6).

    (B, C, H, H) -> the same, with H = grid * patch: F + lambda * softmax(theta(F)^T f(F)) g(F).
    lambda starts at 0, so a new LEM is the identity.
    """

    def __init__(self, channels: int, *, grid: int, patch: int, scaled: bool = False) -> None:
        super().__init__()
        self.grid = grid
        self.patch = patch
        inner = max(1, channels // 8)
        self.factor = inner**-0.5 if scaled else 1.0
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)
        self.g = nn.Conv2d(channels, channels, 1)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        theta, phi, g = (self._tokens(conv(x)) for conv in (self.theta, self.phi, self.g))
        weights = torch.softmax(theta @ phi.transpose(2, 3) * self.factor, dim=-1)
        return x + self.gain * self._untokened(weights @ g)

    def _tokens(self, x: Tensor) -> Tensor:
        """(B, D, H, H) -> (B, grid*grid, patch*patch, D)."""
        batch, dim = x.shape[:2]
        grid, patch = self.grid, self.patch
        cells = x.reshape(batch, dim, grid, patch, grid, patch).permute(0, 2, 4, 3, 5, 1)
        return cells.reshape(batch, grid * grid, patch * patch, dim)

    def _untokened(self, tokens: Tensor) -> Tensor:
        """The inverse of `_tokens`."""
        batch, dim = tokens.shape[0], tokens.shape[3]
        grid, patch = self.grid, self.patch
        cells = tokens.reshape(batch, grid, grid, patch, patch, dim).permute(0, 5, 1, 3, 2, 4)
        return cells.reshape(batch, dim, grid * patch, grid * patch)
