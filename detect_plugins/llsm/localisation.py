"""The forgery localisation module: a decoder with cross-level attention (LLSM, III-C, Fig. 3-4)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from detect_plugins.layers.xception import resized

#: Widths of the stages D0..D4 and of the skips into D1..D4 (ours: section III-C gives none).
STAGE_WIDTHS = (512, 256, 128, 64, 32)
SKIP_WIDTHS = (256, 128, 64, 32)
_POOLED = 4


def pooling_matrix(side: int, cells: int = _POOLED) -> Tensor:
    """(cells, side): row i averages the pixels that adaptive average pooling gives cell i.

    As a constant, because adaptive pooling to a size that does not divide exports as a gather.
    """
    matrix = np.zeros((cells, side), dtype=np.float32)
    for cell in range(cells):
        start, stop = cell * side // cells, -(-(cell + 1) * side // cells)
        matrix[cell, start:stop] = 1.0 / (stop - start)
    return torch.from_numpy(matrix)


class Claffm(nn.Module):
    """Cross-level attentional feature fusion: A (B, C_A, ..) weighted by channel through B.

    B, the preceding decoder stage, is pooled to 4x4; a 4x4 convolution and ReLU, a 1x1 convolution
    and a sigmoid give one weight per channel of A (Fig. 3).
    """

    pool: Tensor

    def __init__(self, channels: int, previous: int, previous_side: int, reduction: int) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.register_buffer("pool", pooling_matrix(previous_side), persistent=False)
        self.squeeze = nn.Conv2d(previous, hidden, _POOLED)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        pooled = self.pool @ b @ self.pool.T
        weights: Tensor = self.excite(torch.relu(self.squeeze(pooled))).sigmoid()
        return a * weights


class DecoderStage(nn.Module):
    """Resize to the skip's side, concatenate, two 3x3 convolutions, then CLAFFM."""

    def __init__(
        self,
        previous: tuple[int, int],
        skip: tuple[int, int],
        skip_width: int,
        width: int,
        reduction: int | None,
    ) -> None:
        """`previous` and `skip` are (channels, side); `reduction` None leaves CLAFFM out."""
        super().__init__()
        self.side = skip[1]
        self.skip = _conv_bn_relu(skip[0], skip_width, 1)
        self.convs = nn.Sequential(
            _conv_bn_relu(previous[0] + skip_width, width, 3), _conv_bn_relu(width, width, 3)
        )
        self.claffm: Claffm | None = None
        if reduction is not None:
            self.claffm = Claffm(width, previous[0], previous[1], reduction)

    def forward(self, previous: Tensor, skip: Tensor) -> Tensor:
        joined = torch.cat((resized(previous, self.side), self.skip(skip)), dim=1)
        x: Tensor = self.convs(joined)
        return x if self.claffm is None else self.claffm(x, previous)


class LocalisationModule(nn.Module):
    """Encoder maps, shallow to deep -> decoder features (B, 32, h, h) and mask logits (B, 1, h, h)."""

    def __init__(
        self, channels: Sequence[int], sides: Sequence[int], claffm_reduction: int | None
    ) -> None:
        super().__init__()
        self.bottom = _conv_bn_relu(channels[-1], STAGE_WIDTHS[0], 1)
        stages = []
        previous = (STAGE_WIDTHS[0], sides[-1])
        for step, (skip_width, width) in enumerate(zip(SKIP_WIDTHS, STAGE_WIDTHS[1:], strict=True)):
            level = len(channels) - 2 - step
            skip = (channels[level], sides[level])
            stages.append(DecoderStage(previous, skip, skip_width, width, claffm_reduction))
            previous = (width, sides[level])
        self.stages = nn.ModuleList(stages)
        self.out = nn.Conv2d(STAGE_WIDTHS[-1], 1, 1)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        x = self.bottom(maps[-1])
        for step, stage in enumerate(self.stages):
            x = stage(x, maps[len(maps) - 2 - step])
        return x, self.out(x)


def _conv_bn_relu(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )
