"""The tables of research/MADE.md, from judged clips.

    python -m research.judging.tables judged.json [--bundle sola=FOLDER ...] > tables.md

Video level, intervals by bootstrap over people (95 %), qualities side by side. Calibration and
threshold have been fitted on the same clips, so false alarms and calibration error are also given
cross-fitted: people are split into five parts, each judged by numbers fitted on the other four.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from research.judging.judge import JUDGED, JudgedClip
from research.judging.scored import (
    PARTS,
    QUALITIES,
    ScoredClip,
    against_reals,
    frames,
    read_cards,
    scored,
    together,
)
from trainers.calibrate import apply, fit_platt, threshold_at_fpr
from trainers.evaluation import metrics
from unmask.bundle import BundleCard
from unmask.errors import ConfigError
from workers.verdicts.arithmetic.strangeness import are_strange

Vector = NDArray[np.float64]
FPR = 0.05


def cross_fitted(clips: Sequence[ScoredClip]) -> tuple[Vector, Vector]:
    """Calibrated p of every clip, and the threshold it is held against, fitted on other people."""
    p, threshold = np.zeros(len(clips)), np.zeros(len(clips))
    for part in range(PARTS):
        own = [i for i, c in enumerate(clips) if c.part == part]
        rest = [c for c in clips if c.part != part]
        if not own:
            continue
        card = fit_platt([c.raw for c in rest], [c.label for c in rest], fitted_on="other people")
        p[own] = apply(card, [clips[i].raw for i in own])
        threshold[own] = worst_threshold(rest, apply(card, [c.raw for c in rest]))
    return p, threshold


def worst_threshold(clips: Sequence[ScoredClip], p: Vector) -> float:
    """The threshold that keeps false alarms at 5 % at every quality."""
    found = []
    for quality in QUALITIES:
        reals = [v for c, v in zip(clips, p, strict=True) if c.quality == quality and not c.label]
        if reals:
            found.append(threshold_at_fpr(reals, FPR))
    return max(found)


def auc_table(
    systems: dict[str, list[ScoredClip]], *, rounds: int = 500, unit: str = "clips"
) -> str:
    """One row a system and family: AUC with its interval at each quality."""
    lines = [
        f"| system | family | {unit} | as found | crf 23 | crf 32 |",
        "|---|---|---|---|---|---|",
    ]
    for name, clips in systems.items():
        families = sorted({c.family for c in clips if c.label})
        for family in [*families, "all"]:
            cells, count = [], 0
            for quality in QUALITIES:
                members = against_reals(clips, family, quality)
                count = max(count, sum(c.label for c in members))
                cells.append(_auc_cell(members, rounds))
            lines.append(f"| {name} | {family} | {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _auc_cell(members: Sequence[ScoredClip], rounds: int) -> str:
    found = auc_interval(members, rounds)
    return "-" if found is None else "{:.2f} ({:.2f}-{:.2f})".format(*found)


def auc_interval(members: Sequence[ScoredClip], rounds: int) -> tuple[float, float, float] | None:
    """AUC, and both ends of its 95 % interval; None without both classes."""
    labels, scores = np.array([c.label for c in members], float), np.array([c.raw for c in members])
    if len(set(labels)) < 2:
        return None
    people = ["|".join(c.people) for c in members]
    draws = _resampled(labels, scores, people, rounds)
    low, high = (float(v) for v in np.percentile(draws, [2.5, 97.5]))
    return metrics.auc(labels, scores), low, high


def _resampled(labels: Vector, scores: Vector, people: Sequence[str], rounds: int) -> list[float]:
    """AUC of draws of people with replacement; a draw of one class only is drawn again."""
    rng = np.random.default_rng(0)
    names = sorted(set(people))
    members = {n: np.flatnonzero([p == n for p in people]) for n in names}
    draws: list[float] = []
    while len(draws) < rounds:
        rows = np.concatenate(
            [members[names[i]] for i in rng.integers(len(names), size=len(names))]
        )
        if 0 < labels[rows].sum() < len(rows):
            draws.append(metrics.auc(labels[rows], scores[rows]))
    return draws


def operating_table(systems: dict[str, list[ScoredClip]]) -> str:
    """False alarms and hits at the threshold, and calibration error, in-sample and cross-fitted."""
    lines = [
        "| system | quality | false alarms, in-sample | false alarms, cross-fitted "
        "| hits, cross-fitted | calibration error, cross-fitted |",
        "|---|---|---|---|---|---|",
    ]
    for name, clips in systems.items():
        try:
            card = fit_platt([c.raw for c in clips], [c.label for c in clips], fitted_on="all")
            p, other = cross_fitted(clips)
        except ConfigError:  # a specialist on forgeries of the other kind
            lines.append(f"| {name} | all | reals score higher than these forgeries | - | - | - |")
            continue
        inside = apply(card, [c.raw for c in clips])
        threshold = worst_threshold(clips, inside)
        for quality in QUALITIES:
            here = np.array([c.quality == quality for c in clips])
            fake = np.array([bool(c.label) for c in clips])
            reals, fakes = here & ~fake, here & fake
            lines.append(
                f"| {name} | {quality} | {np.mean(inside[reals] >= threshold):.3f} "
                f"| {_share(p[reals] >= other[reals])} | {_share(p[fakes] >= other[fakes])} "
                f"| {_balanced_ece(p[here], fake[here]):.3f} |"
            )
    return "\n".join(lines)


def _share(hits: NDArray[np.bool_]) -> str:
    """A share with its Wilson interval."""
    n, share = len(hits), float(np.mean(hits))
    z = 1.96
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return f"{share:.3f} ({max(0.0, centre - half):.3f}-{min(1.0, centre + half):.3f})"


def _balanced_ece(p: Vector, fake: NDArray[np.bool_]) -> float:
    """Calibration is fitted with both classes weighing the same, so it is judged so too."""
    rng = np.random.default_rng(0)
    few = min(int(fake.sum()), int((~fake).sum()))
    draws: list[float] = []
    for _ in range(50):
        pick = np.concatenate([rng.choice(np.flatnonzero(side), few) for side in (fake, ~fake)])
        draws.append(metrics.ece(fake[pick].astype(float), p[pick], 10))
    return float(np.mean(draws))


def abstention_table(judged: Sequence[JudgedClip], cards: dict[str, BundleCard]) -> str:
    """Share of clips on which a plugin says nothing, by class and quality."""
    lines = ["| plugin | quality | real | forged |", "|---|---|---|---|"]
    for name, card in cards.items():
        if card.abstention is None:
            continue
        limit = card.abstention.limit
        for quality in QUALITIES:
            cells = []
            for label in (0, 1):
                members = [
                    j
                    for j in judged
                    if j.plugin == name and j.quality == quality and j.label == label
                ]
                cells.append(
                    f"{np.mean([_silent(j, limit) for j in members]):.3f}" if members else "-"
                )
            lines.append(f"| {name} | {quality} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _silent(judged: JudgedClip, limit: float) -> bool:
    """As the workers abstain."""
    return are_strange((face.ood for face in judged.faces), limit)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judged", type=Path, nargs="+")
    parser.add_argument("--bundle", action="append", default=[], metavar="PLUGIN=FOLDER")
    parser.add_argument("--rounds", type=int, default=500)
    args = parser.parse_args()
    judged = [j for path in args.judged for j in JUDGED.validate_json(path.read_bytes())]
    cards = read_cards(args.bundle)
    systems = {name: scored(judged, name) for name in dict.fromkeys(j.plugin for j in judged)}
    if len(cards) > 1:
        systems["combined"] = together(judged, cards)
    print(auc_table(systems, rounds=args.rounds), end="\n\n")
    print("By frame, each plugin alone:\n")
    by_frame = {name: frames(judged, name) for name in systems if name != "combined"}
    print(auc_table(by_frame, rounds=min(args.rounds, 100), unit="faces"), end="\n\n")
    print(
        operating_table({n: s for n, s in systems.items() if n in cards or n == "combined"}),
        end="\n\n",
    )
    print(abstention_table(judged, cards))


if __name__ == "__main__":
    main()
