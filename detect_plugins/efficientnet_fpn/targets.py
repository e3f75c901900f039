"""What the map branch is trained on (FoCus, arXiv 2409.01030, section IV-A)."""

import torch.nn.functional as F
from torch import Tensor

from detect_plugins.efficientnet_fpn.fpn import resized_map


def map_target(source: Tensor, label: Tensor, side: int) -> Tensor:
    """Map for the BCE of the map branch: resized, clamped, and all zero for real faces.

    source (B, 1, h, w) in 0..1: a FoCus map (14x14), a blend mask, or a difference map;
    label (B,) 0 real, 1 forged -> (B, 1, side, side) in 0..1.
    """
    source = source.float()
    if source.shape[-1] > side:
        # By area: plain bilinear would skip pixels, and a thin seam could fall between samples.
        resized = F.adaptive_avg_pool2d(source, (side, side))
    else:
        resized = resized_map(source, side)
    return resized.clamp(0.0, 1.0) * label.float().view(-1, 1, 1, 1)
