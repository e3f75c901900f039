"""Calibrate the shipped plugins together: detect_plugins/combinations.json, and a policy's thresholds.

    python -m research.fit_combination judged.json... --bundle sola=FOLDER \\
        --bundle efficientnet_fpn=FOLDER --out detect_plugins/combinations.json

The combination is the workers' own (`workers/verdicts/combine.py`). Its operating points go into
the file too, by quality and face size. Prints the probabilities at which false alarms stay under 5 %
and 1 % at every quality: what a policy's thresholds are set to.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from research.judging.judge import JUDGED
from research.judging.scored import read_cards, together, videos
from research.ship import SET_NAME
from trainers.calibrate import apply, fit
from workers.verdicts.combine import Combination


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judged", type=Path, nargs="+")
    parser.add_argument("--bundle", action="append", required=True, metavar="PLUGIN=FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    judged = [j for path in args.judged for j in JUDGED.validate_json(path.read_bytes())]
    cards = read_cards(args.bundle)
    clips = together(judged, cards)
    fitted = fit(videos(clips), name=SET_NAME)
    calibration = fitted.calibration
    combination = Combination(
        members=tuple(sorted(f"{plugin}@{card.sha256[:12]}" for plugin, card in cards.items())),
        slope=calibration.slope,
        intercept=calibration.intercept,
        fitted_on=calibration.fitted_on,
        version="1",
        thresholds=fitted.thresholds,
    )
    text = json.dumps([combination.model_dump(mode="json")], indent=2)
    args.out.write_text(text + "\n", encoding="utf-8")
    forged = apply(calibration, [clip.raw for clip in clips if clip.label])
    for point in ("fpr_0.05", "fpr_0.01"):
        threshold = fitted.thresholds[point]
        hits = np.mean(forged >= threshold)
        print(f"{point}: {threshold:.4f} finds {hits:.2f} of the forged clips")


if __name__ == "__main__":
    main()
