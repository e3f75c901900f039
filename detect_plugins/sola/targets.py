"""What SOLA's anomaly maps are trained towards (section 3.4), and how their collapse shows. Pure."""

import torch
from torch import Tensor
from torch.nn import functional as F

from detect_plugins.sola.anomaly import NEIGHBOURS

#: One pixel of a 16x16 block. Eq. 9a says > 0, but float means of equal blocks may differ by less.
_THRESHOLD = 1.0 / 256.0


def _differences(maps: Tensor, threshold: float) -> Tensor:
    """(B, 4, g, g) -> 1 where a cell differs from its predecessor of that channel's direction."""
    before = [n.predecessor(maps[:, i : i + 1]) for i, n in enumerate(NEIGHBOURS)]
    return ((maps - torch.cat(before, dim=1)).abs() >= threshold).to(maps.dtype)


def patch_scores(mask: Tensor, grid: int) -> Tensor:
    """Share of forged pixels in every region (AVG of Eq. 9a).

    mask: (B, 1, H, H) in 0..1, binarised at 0.5; H must be a multiple of `grid`. -> (B, grid, grid).
    """
    if mask.shape[-1] % grid or mask.shape[-2] % grid:
        raise ValueError(f"A mask of {tuple(mask.shape[-2:])} does not split into {grid} regions.")
    binary = (mask >= 0.5).float()
    return F.avg_pool2d(binary, mask.shape[-1] // grid)[:, 0]


def first_order_targets(scores: Tensor) -> Tensor:
    """Eq. 9a: 1 where a region and its predecessor are forged to a different share.

    scores: (B, g, g) -> (B, 4, g, g) in {0, 1}, order v1, v2, h1, h2. Border cells, which meet a
    copy of themselves, are 0. The paper repeats each map 64 times: broadcasting does.
    """
    return _differences(scores.unsqueeze(1).expand(-1, len(NEIGHBOURS), -1, -1), _THRESHOLD)


def second_order_targets(first: Tensor) -> Tensor:
    """Eq. 9b: 1 where a first-order target differs from its predecessor. (B, 4, g, g) -> same."""
    return _differences(first, 0.5)


def supervised_targets(mask: Tensor, grid: int, *, align: str = "pad") -> tuple[Tensor, Tensor]:
    """First- and second-order targets of a mask (B, 1, H, H), (B, 4, h, h) each.

    `align` as in SolaConfig: "crop" leaves out the four top rows and left columns.
    """
    first = first_order_targets(patch_scores(mask, grid))
    second = second_order_targets(first)
    if align == "crop":
        return first[..., 4:, 4:], second[..., 4:, 4:]
    return first, second


def weak_anomaly(maps: Tensor, label: Tensor) -> Tensor:
    """Eq. 12, one order: mean |map| over real images, summed over the four neighbours. Scalar.

    maps: (B, 4, ...) after the sigmoid; label: (B,) or (B, 1), 1 = forged. Forged images add
    nothing; without a real image it is 0. Means over cells, where Eq. 12 writes a norm.
    """
    real = (label.reshape(-1) < 0.5).to(maps.dtype)
    per_image = maps.abs().flatten(2).mean(dim=2).sum(dim=1)
    return (per_image * real).sum() / real.sum().clamp(min=1.0)


def pairwise_correlation(maps: Tensor) -> Tensor:
    """Pearson correlation of the four second-order maps over a batch, (B, 4, h, w) -> (4, 4).

    Section 4.5: without masks the four predictors may become the same; off-diagonal entries near 1
    show it. A constant map correlates with nothing: its row is 0.
    """
    flat = maps.detach().float().transpose(0, 1).flatten(1)
    centred = flat - flat.mean(dim=1, keepdim=True)
    norm = centred.norm(dim=1, keepdim=True)
    unit = torch.where(norm > 1e-6, centred / norm.clamp(min=1e-6), torch.zeros_like(centred))
    return unit @ unit.T
