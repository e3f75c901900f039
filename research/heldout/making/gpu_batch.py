"""From drawn indices to a batch on the GPU: forged, made alike, through the ladder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from research.heldout.making.degrade import Draw, as_sharp_as, col, coloured_as, ladder, sharpness
from research.heldout.making.forged_faces import (
    FaceFrame,
    affine_grid,
    blended,
    masks,
    redrawn,
    sampled,
)
from research.heldout.stored.packed_crops import Crops

CROP_OF_STORED = 1.3 / 1.55


@dataclass(frozen=True, kw_only=True)
class Making:
    """Switches of how a batch is made; all on but in ablations."""

    side: int = 224
    equalise: float = 0.8
    """Share of pairs whose two halves are brought to the same sharpness and colours."""
    degrade: bool = True


@dataclass(frozen=True)
class Batch:
    """Real and forged alternate: 2n is real, 2n + 1 its forgery."""

    image: Tensor
    label: Tensor
    mask: Tensor
    """(B, 1, side, side)."""
    has_mask: Tensor
    has_seam: Tensor


@torch.no_grad()
def make(
    crops: Crops, drawn: dict[str, NDArray[np.int64]], decoders: Sequence[nn.Module], how: Making
) -> Batch:
    """The whole batch, every number drawn from torch's generator."""
    device = crops.device
    at = {
        k: torch.from_numpy(v).to(device, non_blocking=True)
        for k, v in drawn.items()
        if k != "counts"
    }
    tool, own, swap, whole = (int(c) for c in drawn["counts"])
    real = crops.picture(at["real"])
    fake = crops.picture(at["fake"][:tool]) if tool else real[:0]
    side = real.shape[-1]
    points = crops.points[at["real"]]
    mask = torch.zeros(len(real), 1, side, side, device=device)
    known = torch.ones(len(real), dtype=torch.bool, device=device)
    seam = torch.ones(len(real), dtype=torch.bool, device=device)
    parts = [fake]
    real = real.clone()
    if tool:
        mask[:tool] = F.interpolate(
            crops.masks[at["fake"][:tool]][:, None], size=(side, side), mode="bilinear"
        )
        known[:tool] = crops.has_mask[at["fake"][:tool]]
        seam[:tool] = known[:tool]
    start = tool
    for count, donor in ((own, None), (swap, at["donor"])):
        if count:
            here = slice(start, start + count)
            draw = Draw(count, 1, device)
            given = None if donor is None else (crops.picture(donor), crops.points[donor])
            real[here], forged, mask[here] = blended(
                real[here], points[here], draw, decoders, given
            )
            parts.append(forged)
            start += count
    if whole:
        here = slice(start, start + whole)
        draw = Draw(whole, 1, device)
        again = redrawn(real[here], draw, decoders)
        frame = FaceFrame(points[here], side)
        face = masks(frame, torch.zeros(whole, dtype=torch.long, device=device), draw)
        only_face = draw.some(0.3)
        parts.append(torch.where(only_face, face * again + (1 - face) * real[here], again))
        mask[here] = torch.where(only_face, face, torch.zeros_like(face))
        known[here] = only_face.flatten()
        seam[here] = only_face.flatten()
    fake = torch.cat(parts)
    if how.equalise:
        real, fake = _alike(real, fake, slice(0, tool), at["same"][:tool].bool(), how.equalise)
        real, fake = _alike(real, fake, slice(start, start + whole), None, how.equalise)
    return _finish(real, fake, mask, known, seam, at["same"].bool(), how)


def _alike(
    real: Tensor, fake: Tensor, where: slice, same: Tensor | None, share: float
) -> tuple[Tensor, Tensor]:
    """The sharper one of each pair is blurred to the other; of unlike frames also the colours are moved."""
    a, b = real[where], fake[where]
    if not len(a):
        return real, fake
    chosen = torch.rand(len(a), device=a.device) < share
    target = torch.minimum(sharpness(a), sharpness(b))
    target = torch.where(chosen, target, torch.full_like(target, 1e9))
    if same is not None:
        strength = torch.rand(len(a), device=a.device) * chosen * ~same
        first = torch.rand(len(a), device=a.device) < 0.5
        a, b = coloured_as(a, b, strength * first), coloured_as(b, a, strength * ~first)
        target = torch.where(chosen, torch.minimum(sharpness(a), sharpness(b)), target)
    real, fake = real.clone(), fake.clone()
    real[where], fake[where] = as_sharp_as(a, target), as_sharp_as(b, target)
    return real, fake


def _finish(  # noqa: PLR0917
    real: Tensor, fake: Tensor, mask: Tensor, known: Tensor, seam: Tensor, same: Tensor, how: Making
) -> Batch:
    n = len(real)
    device = real.device
    order = torch.randperm(n, device=device)
    draw, other_draw = Draw(n, 1, device), Draw(n, 1, device)
    zoom = (0.9 * CROP_OF_STORED, 1.14 * CROP_OF_STORED)
    grid = affine_grid(draw, n, real.shape[-1], turn=0.12, zoom=zoom, shift=0.05)
    own = affine_grid(other_draw, n, real.shape[-1], turn=0.12, zoom=zoom, shift=0.05)
    other = torch.where(col(same), grid, own)
    flip = draw.some(0.5)
    real_at = torch.where(flip, grid.flip(2), grid)
    fake_at = torch.where(torch.where(col(same), flip, other_draw.some(0.5)), other.flip(2), other)
    both = torch.stack([sampled(real, real_at)[order], sampled(fake, fake_at)[order]], 1).flatten(
        0, 1
    )
    drawn = sampled(mask, fake_at)[order]
    if how.degrade:
        image = ladder(both, 2, how.side)
    else:
        image = F.interpolate(
            both, size=(how.side, how.side), mode="bilinear", align_corners=False, antialias=True
        )
    zeros = torch.zeros_like(drawn)
    masks_ = torch.stack([zeros, drawn], 1).flatten(0, 1)
    masks_ = F.interpolate(masks_, size=(how.side, how.side), mode="bilinear", align_corners=False)
    true = torch.ones(n, dtype=torch.bool, device=device)
    label = torch.tensor([0.0, 1.0], device=device).repeat(n)
    return Batch(
        image,
        label,
        masks_,
        torch.stack([true, known[order]], 1).flatten(),
        torch.stack([true, seam[order]], 1).flatten(),
    )


@torch.no_grad()
def judged_view(crops: Crops, index: Tensor, side: int) -> Tensor:
    """Crops as the plugin sees them: cut to 1.3 of the face and resized once."""
    image = crops.picture(index)
    theta = torch.tensor([[CROP_OF_STORED, 0, 0], [0, CROP_OF_STORED, 0]], device=image.device)
    grid = F.affine_grid(
        theta[None].expand(len(image), 2, 3), [len(image), 3, side, side], align_corners=False
    )
    return sampled(image, grid)
