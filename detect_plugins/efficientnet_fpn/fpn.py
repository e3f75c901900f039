"""The feature pyramid that draws the map (Lin et al., CVPR 2017, section 3; FoCus, Fig. 4)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _conv_block(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


class PyramidMap(nn.Module):
    """Taps at strides 4, 8, 16, 32 -> map logits (B, 1, h, w) at stride 4.

    `sizes` are the taps' sides in pixels. Every resize names its size, so inputs whose side is not
    a multiple of 32 (380: 95, 48, 24, 12) work and the exported graph holds constants.
    """

    def __init__(
        self,
        tap_channels: Sequence[int],
        sizes: Sequence[int],
        *,
        pyramid: int = 256,
        segmentation: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.laterals = nn.ModuleList(nn.Conv2d(c, pyramid, 1) for c in tap_channels)
        # Level n (0 = stride 4) is upsampled n times; level 0 still gets one block.
        self.levels = nn.ModuleList(
            nn.ModuleList(
                _conv_block(pyramid if step == 0 else segmentation, segmentation)
                for step in range(max(1, level))
            )
            for level in range(len(self.sizes))
        )
        self.dropout = nn.Dropout2d(dropout)
        self.out = nn.Conv2d(segmentation, 1, 1)

    def forward(self, taps: Sequence[Tensor]) -> Tensor:
        merged: list[Tensor] = []
        for level in reversed(range(len(self.sizes))):
            lateral = self.laterals[level](taps[level])
            if merged:
                size = (self.sizes[level], self.sizes[level])
                lateral = lateral + F.interpolate(merged[0], size=size, mode="nearest")
            merged.insert(0, lateral)
        total = self._to_stride_4(0, merged[0])
        for level in range(1, len(merged)):
            total = total + self._to_stride_4(level, merged[level])
        logits: Tensor = self.out(self.dropout(total))
        return logits

    def _to_stride_4(self, level: int, x: Tensor) -> Tensor:
        blocks = self.levels[level]
        assert isinstance(blocks, nn.ModuleList)  # noqa: S101  (nn.Module indexing loses the type)
        for step, block in enumerate(blocks):
            x = block(x)
            if level > 0:
                side = self.sizes[level - 1 - step]
                x = F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
        return x


def resized_map(x: Tensor, side: int) -> Tensor:
    """Bilinear resize of (B, C, h, w) to `side` pixels; the identity where it already fits."""
    if x.shape[-2:] == torch.Size((side, side)):
        return x
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
