"""Scores of unseen people's clips during training: a few frames each, by family and quality."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trainers.config import TrainConfig
from trainers.feed.batches import Crops, plain_view
from unmask.plugin import DetectorManifest

Floats = NDArray[np.float64]


class ClipScore(NamedTuple):
    """One clip at one quality."""

    source: str
    family: str
    quality: str
    label: int
    logit: float
    """Mean over its frames."""


@torch.no_grad()
def clip_scores(
    network: nn.Module,
    pool: Crops,
    config: TrainConfig,
    manifest: DetectorManifest,
    *,
    frames: int,
    device: torch.device,
) -> list[ClipScore]:
    """Mean logit of up to `frames` crops of every (clip, quality); pairs are left out.

    `network` lies on `device`.
    """
    crops: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, record in enumerate(pool.records):
        if record.pair is None:
            crops[record.source, record.quality].append(index)
    wanted = [(key, i) for key, members in crops.items() for i in _spread(members, frames)]
    input_px = int(network.config.input_px)  # type: ignore[union-attr, arg-type]
    scale = config.crop_scale or manifest.crop_scale
    logits: dict[tuple[str, str], list[float]] = defaultdict(list)
    for start in range(0, len(wanted), 32):
        part = wanted[start : start + 32]
        views = np.stack([plain_view(pool[i], input_px, scale) for _, i in part])
        image = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255.0
        image = image.to(device).to(memory_format=torch.channels_last)
        reduced = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(config.precision)
        with torch.autocast(device.type, reduced, enabled=reduced is not None):
            found = network(image).logit.float()[:, 0].cpu()
        for (key, _), value in zip(part, found.tolist(), strict=True):
            logits[key].append(value)
    first = {key: pool.records[members[0]] for key, members in crops.items()}
    return [
        ClipScore(
            source=key[0],
            family=first[key].family,
            quality=key[1],
            label=first[key].label,
            logit=float(np.mean(values)),
        )
        for key, values in logits.items()
    ]


def _spread(members: list[int], frames: int) -> list[int]:
    if len(members) <= frames:
        return members
    return [members[int((n + 0.5) * len(members) / frames)] for n in range(frames)]


def auc(real: Floats, fake: Floats) -> float:
    """Chance that a forgery scores above a real clip; ties count half.

    >>> auc(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    0.875
    """
    if not len(real) or not len(fake):
        return float("nan")
    above = (fake[:, None] > real[None, :]).mean() + 0.5 * (fake[:, None] == real[None, :]).mean()
    return float(above)


def summary(scores: list[ClipScore]) -> dict[str, float]:
    """Video AUC per family and quality ("swap/crf23"), and "score": the mean over both.

    Families and qualities weigh the same, so that no large one chooses the checkpoint. The AUC over
    all qualities together, "pooled", also sees whether re-encoding shifts the scores of real clips.
    """
    figures: dict[str, float] = {}
    qualities = sorted({s.quality for s in scores})
    families = sorted({s.family for s in scores if s.label})
    for family in families:
        for quality in qualities:
            real = np.array([s.logit for s in scores if not s.label and s.quality == quality])
            fake = np.array(
                [s.logit for s in scores if s.family == family and s.label and s.quality == quality]
            )
            figures[f"{family}/{quality}"] = auc(real, fake)
    real = np.array([s.logit for s in scores if not s.label])
    fake = np.array([s.logit for s in scores if s.label])
    figures["pooled"] = auc(real, fake)
    figures["score"] = float(np.nanmean([v for k, v in figures.items() if "/" in k]))
    return figures
