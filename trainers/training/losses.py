"""Every paper's loss with its variants. Pure functions of tensors; nothing here knows a data set.

Conventions: `label` (B,) 0 real, 1 forged; `mask` (B, 1, h, w) in 0..1, 1 = forged; `has_mask` (B,)
bool, False where nobody knows the mask: such images take part in the classification alone. Real
images always have a mask, all zero. Every loss is computed in float32.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from detect_plugins.efficientnet_fpn.targets import map_target
from detect_plugins.llsm.targets import pair_target
from detect_plugins.lrl.targets import similarity_target
from detect_plugins.sola.targets import supervised_targets, weak_anomaly
from trainers.config import FocusLoss, FpnLoss, LlsmLoss, LrlLoss, SolaLoss


class Truth(NamedTuple):
    """What the losses are told about a batch."""

    label: Tensor
    """(B,) float 0 or 1."""
    mask: Tensor
    """(B, 1, h, w) float in 0..1."""
    has_mask: Tensor
    """(B,) bool: the forged area is known."""
    has_seam: Tensor
    """(B,) bool: real, or blended with a known mask. A generated picture has no seam to find."""


Terms = dict[str, Tensor]
"""Named parts of a loss, unweighted, and "loss", their weighted sum."""


def _bce(logit: Tensor, label: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logit.float().reshape(-1), label.float())


def _mean_over(per_image: Tensor, keep: Tensor) -> Tensor:
    """Mean of (B,) over the images to keep; 0 where there are none."""
    weight = keep.to(per_image.dtype)
    return (per_image * weight).sum() / weight.sum().clamp(min=1.0)


def map_bce(logits: Tensor, target: Tensor, keep: Tensor) -> Tensor:
    """Mean binary cross-entropy of maps (B, C, h, w) over the images to keep."""
    each = F.binary_cross_entropy_with_logits(
        logits.float(), target.expand_as(logits).float(), reduction="none"
    )
    return _mean_over(each.flatten(1).mean(dim=1), keep)


def sola_loss(
    logit: Tensor,
    aux: dict[str, Tensor],
    truth: Truth,
    config: SolaLoss,
    *,
    grid: int | None = None,
    align: str = "pad",
) -> Terms:
    """alpha L_cls + L_A (SOLA Eq. 9-12). aux: first (B, 4, 64, g, g), second (B, 4, g, g) logits.

    supervised: L_A = beta sum_4 BCE(M, a) + gamma sum_4 BCE(M', a'); weak: the mean of |M| and |M'|
    over real images, nothing on forgeries. Sums run over the four neighbours, means over cells.
    `grid` and `align` are the architecture's; by default every cell has a map value.
    """
    classify = _bce(logit, truth.label)
    first, second = aux["first"].float(), aux["second"].float()
    if config.mode == "supervised":
        grid = grid or second.shape[-1]
        binary = (truth.mask > 0.5).float() * truth.label.view(-1, 1, 1, 1)
        side = max(grid, binary.shape[-1] // grid * grid)
        binary = F.interpolate(binary, size=(side, side), mode="nearest")
        one, two = supervised_targets(binary, grid, align=align)
        order1 = 4.0 * map_bce(first, one[:, :, None], truth.has_seam)
        order2 = 4.0 * map_bce(second, two, truth.has_seam)
    else:
        order1 = weak_anomaly(first.sigmoid(), truth.label)
        order2 = weak_anomaly(second.sigmoid(), truth.label)
    loss = config.alpha * classify + config.beta * order1 + config.gamma * order2
    terms = {"cls": classify, "first": order1, "second": order2}
    if config.decorrelation > 0:
        penalty = decorrelation(second)
        terms["decorrelation"] = penalty
        loss = loss + config.decorrelation * penalty
    return {"loss": loss, **terms}


def decorrelation(second: Tensor) -> Tensor:
    """Mean absolute correlation between the four second-order maps (SOLA section 4.5)."""
    flat = second.transpose(0, 1).flatten(1)
    centred = flat - flat.mean(dim=1, keepdim=True)
    unit = centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-6)
    matrix = unit @ unit.T
    off_diagonal: Tensor = matrix - torch.diag_embed(torch.diagonal(matrix))
    return off_diagonal.abs().sum() / 12.0


def lrl_loss(
    logit: Tensor,
    aux: dict[str, Tensor],
    truth: Truth,
    config: LrlLoss,
    *,
    sim_target: Literal["square", "abs"] = "square",
) -> Terms:
    """L_ce + 10 L_sim + 1 L_seg (LRL Eq. 10-13).

    aux: similarity (B, k^2, k^2) in 0..1 and map_logits (B, 1, h, w), each where the network has it.
    """
    terms = {"cls": _bce(logit, truth.label)}
    loss = terms["cls"]
    mask = truth.mask * truth.label.view(-1, 1, 1, 1)
    if "similarity" in aux:
        found = aux["similarity"].float()
        wanted = similarity_target(mask, round(found.shape[-1] ** 0.5), sim_target)
        squares = (found - wanted).pow(2).flatten(1)
        mse = config.sim_norm == "mse"
        per_image = squares.mean(dim=1) if mse else squares.sum(dim=1).add(1e-12).sqrt()
        terms["sim"] = _mean_over(per_image, truth.has_mask)
        loss = loss + config.similarity * terms["sim"]
    if "map_logits" in aux:
        terms["seg"] = _segmentation(aux["map_logits"], mask, truth.has_mask)
        loss = loss + config.segmentation * terms["seg"]
    return {"loss": loss, **terms}


def llsm_loss(logit: Tensor, aux: dict[str, Tensor], truth: Truth, config: LlsmLoss) -> Terms:
    """L_cls + alpha L_LS + beta L_loc (LLSM Eq. 5-8).

    aux: pair_logits (B, n, n) and map_logits (B, 1, h, w), each where the network has it.
    """
    terms = {"cls": _bce(logit, truth.label)}
    loss = terms["cls"]
    mask = truth.mask * truth.label.view(-1, 1, 1, 1)
    if "pair_logits" in aux:
        pair = aux["pair_logits"].float()
        wanted = pair_target(mask, round(pair.shape[-1] ** 0.5))
        terms["ls"] = map_bce(pair[:, None], wanted[:, None], truth.has_mask)
        loss = loss + config.alpha * terms["ls"]
    if "map_logits" in aux:
        terms["loc"] = _segmentation(aux["map_logits"], mask, truth.has_mask)
        loss = loss + config.beta * terms["loc"]
    return {"loss": loss, **terms}


def _segmentation(logits: Tensor, mask: Tensor, keep: Tensor) -> Tensor:
    """Mean BCE at the mask's size; the map is resized, the mask is not blurred."""
    resized = F.interpolate(
        logits.float(), size=mask.shape[-2:], mode="bilinear", align_corners=False
    )
    return map_bce(resized, mask, keep)


def focus_loss(aux: dict[str, Tensor], truth: Truth, config: FocusLoss) -> Terms:
    """L_cls + lambda L_loc (FoCus Eq. 6-8): cross-entropy of the fused head, and of both CARP heads.

    aux: logits, logits_rgb and, with a second modality, logits_second, (B, 2) each. No mask is used:
    FoCus learns from labels alone.
    """
    wanted = truth.label.long()
    classify = F.cross_entropy(aux["logits"].float(), wanted)
    localise = F.cross_entropy(aux["logits_rgb"].float(), wanted)
    if "logits_second" in aux:
        localise = localise + F.cross_entropy(aux["logits_second"].float(), wanted)
    on_loc = config.lam_on == "loc"
    loss = classify * (1.0 if on_loc else config.lam) + localise * (config.lam if on_loc else 1.0)
    terms = {"cls": classify, "loc": localise}
    if config.balance > 0 and "chance" in aux:
        terms["balance"] = (2.0 * aux["chance"].float() - 1.0).square()
        loss = loss + config.balance * terms["balance"]
    return {"loss": loss, **terms}


def fpn_loss(aux: dict[str, Tensor], truth: Truth, config: FpnLoss) -> Terms:
    """CE + 0.1 BCE(map, target) (FoCus section IV-A). aux: logits (B, 2), map_logits (B, 1, h, w)."""
    classify = F.cross_entropy(aux["logits"].float(), truth.label.long())
    if "map_logits" not in aux:
        return {"loss": classify, "cls": classify}
    logits = aux["map_logits"]
    target = map_target(truth.mask, truth.label, logits.shape[-1])
    drawn = map_bce(logits, target, truth.has_mask)
    return {"loss": classify + config.map_weight * drawn, "cls": classify, "map": drawn}


LossConfig = SolaLoss | LrlLoss | LlsmLoss | FocusLoss | FpnLoss


def loss_for(
    config: LossConfig, architecture: Any = None
) -> Callable[[Tensor, dict[str, Tensor], Truth], Terms]:
    """The loss that a training config names, as one function of (logit, aux, truth).

    `architecture` is the plugin's own config, for the few of its switches that shape a target.
    """
    if isinstance(config, SolaLoss):
        shape: dict[str, Any] = {
            "grid": getattr(architecture, "cells", None),
            "align": getattr(architecture, "align", "pad"),
        }
        return lambda logit, aux, truth: sola_loss(logit, aux, truth, config, **shape)
    if isinstance(config, LrlLoss):
        target: Any = getattr(architecture, "sim_target", "square")
        return lambda logit, aux, truth: lrl_loss(logit, aux, truth, config, sim_target=target)
    if isinstance(config, LlsmLoss):
        return lambda logit, aux, truth: llsm_loss(logit, aux, truth, config)
    if isinstance(config, FocusLoss):
        return lambda _, aux, truth: focus_loss(aux, truth, config)
    return lambda _, aux, truth: fpn_loss(aux, truth, config)
