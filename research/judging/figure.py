"""The picture of docs/reference/weights.md: AUC of the shipped bundles together, a row per family of forgeries.

    python -m research.judging.figure val.json blends.json --bundle sola=FOLDER ... --out weights.svg

Three marks per row: clips as found, and re-encoded at crf 23 and 32. Bars are 95 % intervals, over people.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from research.judging.judge import JUDGED
from research.judging.scored import QUALITIES, ScoredClip, against_reals, read_cards, together
from research.judging.tables import auc_interval

#: From the top row down.
FAMILIES = {
    "blend": "blends of unseen people",
    "reenact": "reenactment",
    "lipsync": "lip sync",
    "portrait": "portrait generators",
    "swap": "face swap",
    "all": "the four kinds of tools",
}
MARKS = {
    "found": ("o", "#1f4e9c"),
    "crf23": ("s", "#c2571a"),
    "crf32": ("D", "#6b7280"),
}


def draw(sets: Sequence[Sequence[ScoredClip]], path: Path, *, rounds: int = 500) -> None:
    """Write the picture of clip sets, each judged against its own real clips."""
    rows = []
    for family, words in FAMILIES.items():
        for clips in sets:
            forged = {c.family for c in clips if c.label}
            if family in forged or (family == "all" and len(forged) > 1):
                rows.append((family, words, clips))
    figure = Figure(figsize=(7.2, 0.55 * len(rows) + 0.9), layout="constrained")
    axes = figure.subplots()
    names = []
    for row, (family, words, clips) in enumerate(rows):
        members = [against_reals(clips, family, quality) for quality in QUALITIES]
        names.append(f"{words} ({max(sum(c.label for c in m) for m in members)})")
        for shift, quality, judged in zip((-0.2, 0.0, 0.2), QUALITIES, members, strict=True):
            found = auc_interval(judged, rounds)
            if found is not None:
                mark, colour = MARKS[quality]
                value, *interval = found
                axes.plot(interval, [row + shift] * 2, color=colour, alpha=0.5)
                axes.plot(value, row + shift, mark, color=colour, markersize=5)
    for quality, (mark, colour) in MARKS.items():
        axes.plot([], [], mark, color=colour, label=QUALITIES[quality])
    axes.axvline(0.5, linestyle=":", color="black", linewidth=1, label="chance")
    axes.set(xlim=(0.3, 1.0), xlabel="video AUC", yticks=range(len(rows)), yticklabels=names)
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    # Ids and date would otherwise make every run's file another.
    with mpl.rc_context({"svg.hashsalt": "unmask"}):
        figure.savefig(path, metadata={"Date": None}, facecolor="white")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("judged", type=Path, nargs="+")
    parser.add_argument("--bundle", action="append", required=True, metavar="PLUGIN=FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    cards = read_cards(args.bundle)
    draw([together(JUDGED.validate_json(p.read_bytes()), cards) for p in args.judged], args.out)


if __name__ == "__main__":
    main()
