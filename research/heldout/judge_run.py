"""What a trained network says of crops that its training never saw, and how well it finds blends of them."""

from typing import Any

import numpy as np
import torch
from torch import nn

from research.heldout.figures import auc, clip_scores, kind_table
from research.heldout.making.gpu_batch import Making, judged_view, make
from research.heldout.stored.packed_crops import Crops


@torch.inference_mode()
def scored(
    network: nn.Module, crops: Crops, index: Any, side: int, view: Any = judged_view
) -> tuple[Any, Any, Any]:
    """Logits of crops, of their mirror images, and how the map of the mirror image correlates with the mirrored map."""
    logits, mirrored, follows = [], [], []
    for start in range(0, len(index), 256):
        at = torch.from_numpy(index[start : start + 256]).to(crops.device)
        image = view(crops, at, side).contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(crops.device).type, torch.bfloat16):
            one, two = network(image), network(image.flip(3))
        logits.append(one.logit.float().flatten().cpu().numpy())
        mirrored.append(two.logit.float().flatten().cpu().numpy())
        a, b = one.heatmap.float().flatten(1), two.heatmap.float().flip(3).flatten(1)
        a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
        follows.append(
            ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-9)).cpu().numpy()
        )
    return np.concatenate(logits), np.concatenate(mirrored), np.concatenate(follows)


@torch.inference_mode()
def unseen_blends(
    network: nn.Module, crops: Crops, judged: Any, decoders: list[nn.Module], side: int
) -> dict[str, float]:
    """Blends of judged people, as found: AUC of pictures, and of the map's pixels against the masks."""
    real = np.array(
        [
            n
            for n in judged
            if not crops.rows[n]["label"] and crops.rows[n]["quality"] in ("found", "crf23")
        ]
    )
    if not len(real):
        return {}
    torch.manual_seed(11)
    rng = np.random.default_rng(11)
    network.eval()
    logits, labels, maps, truth = [], [], [], []
    rounds, size = (8, 48) if torch.device(crops.device).type == "cuda" else (1, 8)
    for _ in range(rounds):
        pick, donor = rng.choice(real, size), rng.choice(real, size // 4)
        counts = np.array([0, size - size // 4, size // 4, 0])
        drawn = {
            "fake": pick,
            "real": pick,
            "same": np.ones(size, np.int64),
            "donor": donor,
            "counts": counts,
        }
        batch = make(crops, drawn, decoders, Making(side=side, degrade=False))
        with torch.autocast(torch.device(crops.device).type, torch.bfloat16):
            output = network(batch.image.contiguous(memory_format=torch.channels_last))
        heat = output.heatmap.float()
        logits.append(output.logit.float().flatten().cpu())
        labels.append(batch.label.cpu())
        maps.append(heat[1::2].flatten().cpu())
        truth.append(
            (nn.functional.adaptive_avg_pool2d(batch.mask, heat.shape[-1])[1::2] > 0.5)
            .flatten()
            .cpu()
        )
    score, label, heat_, mask = (torch.cat(x).numpy() for x in (logits, labels, maps, truth))
    some = rng.choice(len(heat_), min(len(heat_), 200_000), replace=False)
    heat_, mask = heat_[some], mask[some]
    return {
        "picture_auc": auc(score[label == 0], score[label == 1]),
        "pixel_auc": auc(heat_[~mask], heat_[mask]),
    }


def quick(crops: Crops, index: Any, logit: Any) -> str:
    """Video AUC by kind and quality, for the log."""
    return kind_table(clip_scores(crops.files, crops.rows, index, logit))
