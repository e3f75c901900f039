"""The finder's loss: focal for the score, generalised IoU for the box, distance for the landmarks."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_BOX, _MARKS = 2.0, 0.6
_FOCUS = 2.0


def finder_loss(
    made: Sequence[Tensor], wanted: Sequence[Tensor]
) -> tuple[Tensor, dict[str, float]]:
    """Both (N, 15, H, W) for each stride, `wanted` as targets.py lays out. Sum, and its parts."""
    flat = torch.cat([m.float().flatten(2).transpose(1, 2).flatten(0, 1) for m in made])
    aims = torch.cat([w.flatten(2).transpose(1, 2).flatten(0, 1) for w in wanted])
    taught, face = aims[:, 0] >= 0, aims[:, 0] > 0
    count = face.sum().clamp(min=1)
    score = _focal(flat[taught, 0], aims[taught, 0]).sum() / count
    box = (1.0 - _giou(_corners(flat[face, 1:5]), _corners(aims[face, 1:5]))).sum() / count
    size = aims[face, 3:5].exp().mean(dim=1, keepdim=True)
    away = F.smooth_l1_loss(
        flat[face, 5:] / size * 10, aims[face, 5:] / size * 10, reduction="none"
    )
    marks = away.mean(dim=1).sum() / count
    total = score + _BOX * box + _MARKS * marks
    parts = {"score": score.item(), "box": box.item(), "marks": marks.item()}
    return total, parts


def _focal(logits: Tensor, aims: Tensor) -> Tensor:
    likely = torch.sigmoid(logits)
    plain = F.binary_cross_entropy_with_logits(logits, aims, reduction="none")
    return plain * (aims - likely).abs() ** _FOCUS


def _corners(values: Tensor) -> Tensor:
    half = values[:, 2:4].clamp(max=6.0).exp() / 2
    return torch.cat([values[:, :2] - half, values[:, :2] + half], dim=1)


def _giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al., CVPR 2019) of corners (P, 4) with corners (P, 4)."""
    both = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    around = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    shared, hull = both.prod(dim=1), around.prod(dim=1)
    union = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - shared
    return shared / (union + 1e-6) - (hull - union) / (hull + 1e-6)
