"""The table of docs/reference/weights.md, from two runs of `report_signals`: plain, and with --beyond.

python -m research.heldout.signals.signal_table SIGNALS.json BEYOND.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

from research.heldout.signals.report_signals import SHORT_CUTS

#: As the page calls them, in its order.
WORDS = {
    "flow": "optical flow on a face that stands still",
    "texture": "how texture changes on it, in three bands",
    "time spectrum": "frequencies in time of its pixels",
    "landmarks": "468 landmarks: jitter, blinks, lips",
    "against background": "background against head",
    "tf_efficientnet_lite0 change": "Lite0's layers: change between neighbours",
    "tf_efficientnet_lite0 path": "the same: curvature of their path",
    "tf_efficientnet_lite0 layers": "Lite0's layers: means and spreads",
    "co-occurrence": "co-occurrence of noise residuals",
    "dct": "8 x 8 DCT, face and ring",
    "spectra": "spectra: profile, direction, grid peaks",
    "parts": "noise of parts against skin",
    "native co-occurrence": "co-occurrence, native pixels",
    "native dct": "DCT, native pixels",
    "native spectra": "spectra, native pixels",
    "signals together": "**what moves, together**",
}


def row(name: str, plain: dict[str, Any], beyond: dict[str, Any] | None) -> str:
    """One line of the table."""
    cells = []
    for view in ("found", "crf32"):
        a = plain[f"{view} all"]
        alone = view == "crf32" and name.startswith("native")
        cells.append("-" if alone else f"{a['auc']:.2f} ({a['low']:.2f}-{a['high']:.2f})")
    parts = " / ".join(f"{plain[f'found {k}']['auc']:.2f}" for k in ("blended", "generated"))
    left = "-"
    if beyond is not None:
        left = " / ".join(f"{beyond[f'{v} all']['auc']:.2f}" for v in ("found", "crf32"))
        left = left.split(" / ", maxsplit=1)[0] if name.startswith("native") else left
    clips = str(plain["note"]).split(" ", maxsplit=1)[0] if "clips" in str(plain["note"]) else ""
    hits = f"{plain['found all']['tpr5']:.2f}"
    matched = f"{plain['found all']['matched']:.2f}"
    shown = WORDS.get(name, f"*{name}*" if name in SHORT_CUTS else f"***{name}***")
    return (
        f"| {shown} | {clips} | {cells[0]} | {cells[1]} | {parts} | {hits} | {matched} | {left} |"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("signals", type=Path)
    parser.add_argument("beyond", type=Path)
    args = parser.parse_args()
    plain = json.loads(args.signals.read_text(encoding="utf-8"))
    beyond = json.loads(args.beyond.read_text(encoding="utf-8"))
    print("| numbers | clips | as found | crf 32 | blended / generated | TPR at 5 % | same size and bytes | short cuts taken out, as found / crf 32 |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for name in [*SHORT_CUTS, "short cuts together", *WORDS]:
        if name in plain:
            print(row(name, plain[name], beyond.get(name)))


if __name__ == "__main__":
    main()
