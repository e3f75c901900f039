"""Write what was measured into the shipped bundles: `metrics` of bundle.json, and MODEL_CARD.md.

    python -m research.judging.state_figures --val judged.json --blends judged-blends.json \\
        --bundle sola=FOLDER --bundle efficientnet_fpn=FOLDER

The weights are not touched. Figures are those of `research.judging.tables`, without their intervals.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from research.judging.judge import JUDGED, JudgedClip
from research.judging.scored import QUALITIES, ScoredClip, scored
from research.judging.tables import cross_fitted
from research.ship import LIMITS
from trainers.bundles.model_card import CardNotes
from trainers.bundles.write_bundle import restate
from trainers.evaluation import metrics

FAMILIES = {
    "lipsync": "lip sync", "swap": "face swaps", "reenact": "reenactment",
    "portrait": "portrait generators",
}  # fmt: skip


def figures(val: Sequence[ScoredClip], blends: Sequence[ScoredClip]) -> dict[str, float]:
    """Named figures of one plugin, to two digits (shares: three)."""
    found: dict[str, float] = {}
    for clips, name in ((val, "unseen people"), (blends, "unseen blends")):
        for quality, said in QUALITIES.items():
            found[f"video AUC, {name}, {said}"] = _auc(clips, quality)
    for family, said in FAMILIES.items():
        members = [clip for clip in val if not clip.label or clip.family == family]
        if any(clip.label for clip in members):
            found[f"video AUC, {said} (as found)"] = _auc(members, "found")
    p, threshold = cross_fitted(val)
    for quality, said in QUALITIES.items():
        for label, name in ((0, "false alarms"), (1, "hits")):
            here = np.array([c.quality == quality and c.label == label for c in val])
            share = round(float(np.mean(p[here] >= threshold[here])), 3)
            found[f"{name} at the threshold, cross-fitted ({said})"] = share
    return found


def _auc(clips: Sequence[ScoredClip], quality: str) -> float:
    here = [clip for clip in clips if clip.quality == quality]
    labels = np.array([clip.label for clip in here], np.float64)
    return round(metrics.auc(labels, np.array([clip.raw for clip in here])), 2)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--val", type=Path, required=True, help="judged validation set")
    parser.add_argument("--blends", type=Path, required=True, help="judged unseen blends")
    parser.add_argument("--bundle", action="append", required=True, metavar="PLUGIN=FOLDER")
    args = parser.parse_args(argv)
    val, blends = _read(args.val), _read(args.blends)
    for text in args.bundle:
        plugin, _, folder = text.partition("=")
        stated = figures(scored(val, plugin), scored(blends, plugin))
        restate(Path(folder), plugin, {"metrics": stated}, CardNotes(limits=LIMITS))
        print(plugin, *(f"  {name}: {value:g}" for name, value in stated.items()), sep="\n")


def _read(path: Path) -> tuple[JudgedClip, ...]:
    return JUDGED.validate_json(path.read_bytes())


if __name__ == "__main__":
    main()
