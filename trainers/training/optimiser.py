"""Which parameters learn how fast, and how the rate runs over the steps."""

import math
from typing import Any

import torch
from torch import nn

from trainers.config import ScheduleConfig, TrainConfig


def build_optimiser(network: Any, config: TrainConfig) -> torch.optim.Optimizer:
    """Groups by rate and decay: `optimiser.decay` says what is decayed; constrained noise filters
    have `asrm_lr_factor` and no decay. Free SRM filters (SOLA Table 6, "-lsrm") learn as all do.
    """
    settings = config.optimiser
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    asrm: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("asrm.") and network.asrm.constrained:
            asrm.append(parameter)
        elif parameter.ndim < 2 and settings.decay == "matrices":
            plain.append(parameter)
        else:
            decayed.append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "lr_factor": 1.0, "weight_decay": settings.weight_decay},
        {"params": plain, "lr_factor": 1.0, "weight_decay": 0.0},
        {"params": asrm, "lr_factor": settings.asrm_lr_factor, "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum)
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps)


def learning_rate(step: int, steps: int, peak: float, schedule: ScheduleConfig) -> float:
    """Rate of one step: linear warm-up, then constant, cosine to `min_lr`, or steps.

    >>> learning_rate(0, 10, 1.0, ScheduleConfig(name="constant", warmup_steps=4))
    0.25
    """
    if step < schedule.warmup_steps:
        return peak * (step + 1) / schedule.warmup_steps
    if schedule.name == "cosine":
        done = (step - schedule.warmup_steps) / max(1, steps - schedule.warmup_steps)
        return schedule.min_lr + (peak - schedule.min_lr) * 0.5 * (1 + math.cos(math.pi * done))
    if schedule.name == "step" and schedule.step_every:
        return float(peak * schedule.factor ** (step // schedule.step_every))
    return peak
