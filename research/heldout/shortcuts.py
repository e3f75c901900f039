"""What a detector must not need to look at: can plain numbers of a picture tell real from forged?

    python -m research.heldout.shortcuts --pack PACK --decoded CROPS.npy --decoders AE.safetensors --out probes.json

Each probe sees a few numbers (face size, sharpness, noise, colours, the picture's edge, the bytes a codec needs) and
is fitted on half of the people; AUC on the other half. 0.5 is what it should be.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold, cross_val_predict

from research.heldout.figures import auc
from research.heldout.making.decoders import load_decoders
from research.heldout.making.draw_pairs import Held, Sampler, Shares, split
from research.heldout.making.gpu_batch import Making, judged_view, make
from research.heldout.making.looks import numbers
from research.heldout.stored.packed_crops import Crops

NAMES = {
    "sharpness": ["lap", "lap_mid"],
    "noise": ["noise", "noise_flat"],
    "colours": ["r", "g", "b", "sr", "sg", "sb", "sat"],
    "bitrate": ["bits"],
    "background": ["edge_lap", "edge_r", "edge_g", "edge_b", "edge_s"],
    "face size": ["px"],
}


def probe(table: dict[str, Any], label: Any, group: Any) -> dict[str, float]:
    """AUC of every probe on groups it was not fitted on."""
    found = {}
    for name, columns in {**NAMES, "all of them": [c for v in NAMES.values() for c in v]}.items():
        x = np.stack([table[c] for c in columns], 1)
        model = HistGradientBoostingClassifier(
            max_iter=60, learning_rate=0.08, max_leaf_nodes=12, min_samples_leaf=40
        )
        p = cross_val_predict(
            model, x, label, groups=group, cv=GroupKFold(5), method="predict_proba"
        )[:, 1]
        found[name] = round(auc(p[label == 0], p[label == 1]), 3)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("pack", "decoded", "decoders", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--every", type=int)
    parser.add_argument("--batches", type=int, default=24)
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    torch.manual_seed(3)
    crops = Crops(args.pack, args.decoded, args.device, args.every)
    decoders = load_decoders(args.decoders, args.device)
    px = torch.tensor([r["face_px"] for r in crops.rows], device=args.device)
    train = split(crops, Held()).train
    result: dict[str, Any] = {}
    for what, shares in (
        ("tools", Shares(tool=1, self_blend=0, swap_blend=0, redrawn=0)),
        ("blends", Shares(tool=0, self_blend=0.75, swap_blend=0.25, redrawn=0)),
        ("redrawn", Shares(tool=0, self_blend=0, swap_blend=0, redrawn=1)),
    ):
        for how, making in (
            ("as trained", Making(side=192)),
            ("not made alike", Making(side=192, equalise=0.0)),
        ):
            sampler = Sampler(crops, train, shares, 5)
            tables: list[dict[str, Any]] = []
            labels: list[Any] = []
            groups: list[Any] = []
            for _ in range(args.batches):
                drawn = sampler.batch(64)
                # `make` shuffles pairs; face sizes go by the drawn order, so they are probed apart
                batch = make(crops, drawn, decoders, making)
                size = torch.stack(
                    [
                        px[torch.from_numpy(drawn["real"]).to(px.device)],
                        px[torch.from_numpy(drawn["fake"]).to(px.device)],
                    ],
                    1,
                ).flatten()
                tables.append(numbers(batch.image, size))
                labels.append(batch.label.cpu().numpy())
                groups.append(np.repeat(np.arange(64), 2) + 64 * len(groups))
            table = {k: np.concatenate([t[k] for t in tables]) for k in tables[0]}
            result[f"{what}, {how}"] = probe(table, np.concatenate(labels), np.concatenate(groups))
            print(what, how, result[f"{what}, {how}"], flush=True)
    for quality in ("found", "crf23", "crf32"):
        index = np.array(
            [
                n
                for n, r in enumerate(crops.rows)
                if r["quality"] == quality and r["step"] == -1 and r["moment"] in (0, 2)
            ]
        )
        tables = []
        for start in range(0, len(index), 256):
            at = torch.from_numpy(index[start : start + 256]).to(args.device)
            tables.append(numbers(judged_view(crops, at, 192), px[at]))
        table = {k: np.concatenate([t[k] for t in tables]) for k in tables[0]}
        label = np.array([crops.rows[n]["label"] for n in index])
        group = np.array(
            [int(crops.files[crops.rows[n]["path"]]["group"], 16) % 10_000_019 for n in index]
        )
        result[f"clips, {quality}"] = probe(table, label, group)
        print("clips", quality, result[f"clips, {quality}"], flush=True)
    args.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
