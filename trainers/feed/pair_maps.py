"""What a real and its forgery differ in, as a map to learn from. Pure."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

MapSourceName = Literal["ssim", "pixel", "pixel-threshold"]


def pair_map(real: Tensor, fake: Tensor, source: MapSourceName) -> Tensor:
    """Map target from a pair, (B, 3, H, W) in 0..1 each -> (B, 1, H, W) in 0..1.

    pixel: mean absolute difference; pixel-threshold: the same, > 0.1; ssim: 1 - SSIM of the grey
    pictures over 11 x 11 Gaussian windows (FoCus, Table II; Wang et al., 2004).
    """
    if source == "ssim":
        weights = torch.tensor([0.299, 0.587, 0.114], dtype=real.dtype).view(1, 3, 1, 1)
        return (
            1.0
            - _ssim((real * weights).sum(1, keepdim=True), (fake * weights).sum(1, keepdim=True))
        ).clamp(0, 1)
    difference = (real - fake).abs().mean(dim=1, keepdim=True)
    return (difference > 0.1).to(real.dtype) if source == "pixel-threshold" else difference


def _ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity map of (B, 1, H, W) in 0..1, same size, reflected borders."""
    ramp = torch.arange(11, dtype=a.dtype) - 5.0
    line = torch.exp(-(ramp**2) / (2 * 1.5**2))
    kernel = (line / line.sum()).view(1, 1, 11, 1) * (line / line.sum()).view(1, 1, 1, 11)

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (5, 5, 5, 5), mode="reflect"), kernel)

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    both = mean(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * mean_a * mean_b + c1) * (2 * both + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    )
