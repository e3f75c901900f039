"""Teach one network one drawn task, and ask what it learnt: the papers' own losses, a few minutes."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from detect_plugins.layers.timm_model import Pretrained
from detect_plugins.sola.network import Sola
from research.toys.drawn_tasks import Drawn
from trainers.training.losses import LossConfig, Truth, loss_for
from trainers.training.validation import auc

Task = Callable[[np.random.Generator, int, int], Drawn]
_ASKED = 128
"""Pictures of the examination."""


class Pupil(NamedTuple):
    """One network, taught one way."""

    detector: Any
    """A TorchDetector's class."""
    architecture: Mapping[str, Any]
    loss: LossConfig
    steps: int
    lr: float = 3e-4
    batch: int = 8
    pretrained: Pretrained = False


class Learnt(NamedTuple):
    """What it knows in the end, of pictures it has not seen."""

    auc: float
    pixel_auc: float
    """Of the map on forgeries; 0.5 knows nothing."""
    on_forged: float
    """Mean of the map over forged areas,"""
    on_real: float
    """and over genuine pictures."""
    selection: float | None
    """FoCus: the share of tokens taken from the second modality."""


def teach(pupil: Pupil, task: Task, seed: int, stepped: Callable[[], None]) -> Learnt:
    """Train from `seed`; `stepped` is called after every step."""
    config = pupil.detector.Config.model_validate(dict(pupil.architecture))
    torch.manual_seed(seed)
    extra = {"pretrained": pupil.pretrained} if pupil.pretrained else {}
    network: nn.Module = pupil.detector.Network(config, **extra)
    loss_of = loss_for(pupil.loss, config)
    optimiser = torch.optim.AdamW(network.parameters(), lr=pupil.lr, weight_decay=0.01)
    random = np.random.default_rng([seed, 1])
    network.train()
    for step in range(pupil.steps):
        for group in optimiser.param_groups:
            group["lr"] = pupil.lr * min(1.0, (step + 1) / 20)
        drawn = task(random, pupil.batch, config.input_px)
        output = network(torch.from_numpy(drawn.images))
        loss = loss_of(output.logit, output.aux, _truth(drawn))["loss"]
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if isinstance(network, Sola):
            network.project_()
        stepped()
    return examine(network, task(np.random.default_rng([seed, 2]), _ASKED, config.input_px))


@torch.inference_mode()
def examine(network: nn.Module, drawn: Drawn) -> Learnt:
    """Ask about pictures that were not in training."""
    network.eval()
    logits, maps, selections = [], [], []
    for begin in range(0, len(drawn.labels), 32):
        output = network(torch.from_numpy(drawn.images[begin : begin + 32]))
        logits.append(output.logit.reshape(-1))
        side = drawn.masks.shape[-1]
        maps.append(F.interpolate(output.heatmap, (side, side), mode="bilinear")[:, 0])
        if "selection" in output.aux:
            selections.append(float(output.aux["selection"].float().mean()))
    score = torch.cat(logits).numpy()
    drawing = torch.cat(maps).numpy()
    forged = drawn.labels == 1
    inside = drawn.masks[forged, 0] > 0.5
    pixels = drawing[forged]
    stride = 97  # of some 600,000 pixels, enough
    return Learnt(
        auc=auc(score[~forged], score[forged]),
        pixel_auc=auc(pixels[~inside][::stride], pixels[inside][::stride]),
        on_forged=float(pixels[inside].mean()),
        on_real=float(drawing[~forged].mean()),
        selection=float(np.mean(selections)) if selections else None,
    )


def _truth(drawn: Drawn) -> Truth:
    known = torch.ones(len(drawn.labels), dtype=torch.bool)
    return Truth(
        torch.from_numpy(drawn.labels), torch.from_numpy(drawn.masks), known, known.clone()
    )
