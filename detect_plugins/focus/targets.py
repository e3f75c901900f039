"""From FoCus's maps to supervision for other networks (section IV-A). Pure functions."""

import torch
from torch import Tensor


def supervision_map(fused: Tensor, label: Tensor) -> Tensor:
    """A manipulation map to train on: ReLU, over its own maximum, all zero for real faces.

    fused (B, 1, h, w): Eq. 5 on the maps of Eq. 4; label (B,) 0 real, 1 forged -> (B, 1, h, w) in
    0..1. Per-image scaling is right here, where labels are known, and wrong for moderators.
    """
    positive = torch.relu(fused)
    peak = positive.amax(dim=(1, 2, 3), keepdim=True)
    # A map without a positive value stays zero: there is nothing to divide by.
    scaled = positive / torch.where(peak > 0.0, peak, torch.ones_like(peak))
    return scaled * label.to(fused.dtype).view(-1, 1, 1, 1)


def quantised(maps: Tensor) -> Tensor:
    """Maps in 0..1 as uint8 0..255, as stored for a training set (196 bytes per image)."""
    return (maps.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
