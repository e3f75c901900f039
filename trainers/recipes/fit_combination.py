"""Calibrate the shipped plugins together: detect_plugins/combinations.json, and a policy's thresholds.

    python -m trainers.recipes.fit_combination judged.json... --bundle sola=FOLDER \\
        --bundle efficientnet_fpn=FOLDER --out detect_plugins/combinations.json

The combination is the workers' own (weighted mean of calibrated logits). Prints the probabilities at
which false alarms stay under 5 % and 1 % at every quality.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from trainers.calibrate import fit_platt, threshold_at_fpr
from trainers.recipes.judge import JUDGED
from trainers.recipes.ship import SET_NAME
from trainers.recipes.tables import QUALITIES, combined, scored
from unmask.bundle import CARD_FILE, read_card
from workers.calibrate import platt


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judged", type=Path, nargs="+")
    parser.add_argument("--bundle", action="append", required=True, metavar="PLUGIN=FOLDER")
    parser.add_argument("--weight", action="append", default=[], metavar="PLUGIN=WEIGHT")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    judged = [j for path in args.judged for j in JUDGED.validate_json(path.read_bytes())]
    weights = dict(text.split("=") for text in args.weight)
    cards = {}
    for text in args.bundle:
        plugin, _, folder = text.partition("=")
        card = read_card(Path(folder), plugin)
        if plugin in weights:
            card = card.model_copy(update={"combination_weight": float(weights[plugin])})
            (Path(folder) / CARD_FILE).write_text(
                card.model_dump_json(indent=2) + "\n", encoding="utf-8"
            )
        cards[plugin] = card
    clips = combined([(scored(judged, plugin), card) for plugin, card in cards.items()])
    raw, labels = [c.raw for c in clips], [c.label for c in clips]
    fitted = fit_platt(raw, labels, fitted_on=SET_NAME)
    combination = {
        "members": sorted(f"{plugin}@{card.sha256[:12]}" for plugin, card in cards.items()),
        "slope": fitted.slope,
        "intercept": fitted.intercept,
        "fitted_on": f"{SET_NAME}: {labels.count(0)} real and {labels.count(1)} forged videos",
        "version": "1",
    }
    args.out.write_text(json.dumps([combination], indent=2) + "\n", encoding="utf-8")
    p = np.array([platt(c.raw, fitted.slope, fitted.intercept) for c in clips])
    for fpr in (0.05, 0.01):
        found = {}
        for quality in QUALITIES:
            reals = [
                v for v, c in zip(p, clips, strict=True) if not c.label and c.quality == quality
            ]
            found[quality] = round(threshold_at_fpr(reals, fpr), 4)
        worst = max(found.values())
        hits = np.mean([v >= worst for v, c in zip(p, clips, strict=True) if c.label])
        print(f"fpr {fpr}: {worst:.4f} {found}, finds {hits:.2f} of the forged clips")


if __name__ == "__main__":
    main()
