"""Tables of a plan's runs: each fold judged by the run that never saw its tools or its people.

    python -m research.heldout.fold_tables RUNS --pack PACK --name any

AUC and hits are counted within each fold, where one network gave all scores, and averaged by the number of
forged clips; intervals are drawn anew over groups of people.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from research.heldout.figures import QUALITIES, Clip, auc, clip_scores, subsets, tpr_at
from research.heldout.folds import FOLDS
from research.heldout.stored.packed_crops import read_index

ROUNDS = 200


def within(clips: Sequence[Clip], members: Sequence[Clip]) -> tuple[float, float, float]:
    """AUC and hits at 5 % and 1 % false alarms of some forged clips, each against its own fold's reals."""
    found = []
    for fold in {c.fold for c in members}:
        real = [c.score for c in clips if not c.label and c.fold == fold]
        fake = [c.score for c in members if c.fold == fold]
        if real:
            found.append(
                (len(fake), auc(real, fake), tpr_at(real, fake, 0.05), tpr_at(real, fake, 0.01))
            )
    table = np.array(found)
    mean = (table[:, :1] * table[:, 1:]).sum(0) / table[:, 0].sum()
    return float(mean[0]), float(mean[1]), float(mean[2])


def drawn_anew(clips: Sequence[Clip], rng: np.random.Generator) -> list[Clip]:
    """As many groups of people, drawn with replacement."""
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[clip.group].append(clip)
    held = list(groups.values())
    return [c for i in rng.integers(len(held), size=len(held)) for c in held[i]]


def table_of(clips: Sequence[Clip]) -> str:
    """Markdown: a row a subset, AUC with its interval at each quality, hits as found."""
    lines = [
        "| forgeries | clips | as found | crf 23 | crf 32 | TPR at 5 % | at 1 % |",
        "|---|---|---|---|---|---|---|",
    ]
    names = list(subsets([c for c in clips if c.quality == "found"]))
    for name in names:
        cells, hits, count = [], "", 0
        for quality in QUALITIES:
            here = [c for c in clips if c.quality == quality]
            value, five, one = within(here, subsets(here)[name])
            rng = np.random.default_rng(0)
            spread = []
            for _ in range(ROUNDS):
                some = drawn_anew(here, rng)
                members = subsets(some).get(name)
                if members:
                    spread.append(within(some, members)[0])
            low, high = np.percentile(spread, [2.5, 97.5])
            cells.append(f"{value:.2f} ({low:.2f}-{high:.2f})")
            if quality == "found":
                hits, count = f"{five:.2f} | {one:.2f}", len(subsets(here)[name])
        lines.append(f"| {name} | {count} | {' | '.join(cells)} | {hits} |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--name", required=True)
    args = parser.parse_args()
    index = read_index(args.pack)
    clips: list[Clip] = []
    for fold in range(FOLDS):
        held = np.load(args.runs / f"{args.name}-f{fold}.npz")
        clips += clip_scores(index["files"], index["crops"], held["index"], held["logit"])
    print(table_of(clips))


if __name__ == "__main__":
    main()
