"""How several bundles should be made one, on tools that none of them saw; and what abstaining would buy.

    python -m research.heldout.rules SCORES.npz... --research-data ../shared/data

Rules without numbers of their own are judged as they are. A stacked rule (logistic over the bundles' calibrated
logits, without and with the face's size) is fitted on three folds of tools and people and judged on the
fourth (folds.py); so is each rule's threshold of the risk-coverage table, where a clip is left undecided in
the order of how near its p is to it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from research.heldout.figures import QUALITIES, Clip
from research.heldout.fold_tables import drawn_anew, within
from research.heldout.folds import FOLDS
from research.heldout.stored.pack import files_of
from research.heldout.unseen_clips import Judged, judged, scores_parser, together
from unmask.bundle import BundleCard, read_card
from workers.verdicts.arithmetic.probability import calibrated, logit

Floats = NDArray[np.float64]
COVERAGES = (1.0, 0.8, 0.6, 0.4, 0.2)
_ROUNDS = 200


def logits(clips: Sequence[Judged], cards: Mapping[str, BundleCard]) -> Floats:
    """(clips, bundles): each bundle's calibrated logit."""
    rows = [
        [logit(calibrated(j.raw[name], card.calibration)) for name, card in cards.items()]
        for j in clips
    ]
    return np.array(rows, np.float64)


def stacked(numbers: Floats, labels: Floats, folds: NDArray[np.int64]) -> Floats:
    """Each clip's logit by a logistic rule that saw neither its fold's tools nor its people."""
    found = np.zeros(len(numbers))
    for fold in range(FOLDS):
        here, there = folds == fold, folds != fold
        if here.any():
            rule = LogisticRegression(C=0.3, class_weight="balanced").fit(
                numbers[there], labels[there]
            )
            found[here] = rule.decision_function(numbers[here])
    return found


def rules(
    clips: Sequence[Judged], cards: Mapping[str, BundleCard], folds: NDArray[np.int64]
) -> dict[str, Floats]:
    """Every rule's logit of every clip."""
    numbers = logits(clips, cards)
    labels = np.array([j.clip.label for j in clips], np.float64)
    size = np.log([[j.clip.face_px] for j in clips])
    shipped = np.array([logit(c.score) for c in together(clips, cards)])
    alone = {f"{name} alone": numbers[:, n] for n, name in enumerate(cards)}
    return {
        "likelier kind (ships)": shipped,
        "mean": numbers.mean(1),
        "largest": numbers.max(1),
        **alone,
        "stacked": stacked(numbers, labels, folds),
        "stacked, with face size": stacked(np.hstack([numbers, size]), labels, folds),
    }


def auc_within(clips: Sequence[Clip], keep: Callable[[Clip], bool]) -> float:
    """AUC within each fold, averaged by its forgeries."""
    members = [c for c in clips if c.label and keep(c)]
    return within(clips, members)[0] if members else float("nan")


def interval(clips: Sequence[Clip], measure: Callable[[Sequence[Clip]], float]) -> str:
    """A figure and its 95 % interval over groups of people."""
    rng = np.random.default_rng(0)
    spread = [measure(drawn_anew(clips, rng)) for _ in range(_ROUNDS)]
    low, high = np.nanpercentile(spread, [2.5, 97.5])
    return f"{measure(clips):.2f} ({low:.2f}-{high:.2f})"


def risk(clips: Sequence[Clip], coverage: float) -> float:
    """Share of wrong calls, both classes counted alike, among the clips that are decided.

    A fold's threshold is where the others' balanced error is least.
    """
    wrong: list[tuple[int, bool]] = []
    margins = []
    for fold in range(FOLDS):
        here = [c for c in clips if c.fold == fold]
        there = [c for c in clips if c.fold != fold]
        at = _least_error(there)
        for clip in here:
            margins.append(abs(clip.score - at))
            wrong.append((clip.label, (clip.score >= at) != bool(clip.label)))
    kept = np.argsort(margins)[::-1][: max(1, round(coverage * len(margins)))]
    shares = []
    for label in (0, 1):
        those = [wrong[i][1] for i in kept if wrong[i][0] == label]
        if those:
            shares.append(np.mean(those))
    return float(np.mean(shares)) if len(shares) == 2 else float("nan")


def _least_error(clips: Sequence[Clip]) -> float:
    scores = np.array([c.score for c in clips])
    labels = np.array([c.label for c in clips], bool)
    tries = np.quantile(scores, np.linspace(0.02, 0.98, 49))
    errors = [(scores[~labels] >= t).mean() + (scores[labels] < t).mean() for t in tries]
    return float(tries[int(np.argmin(errors))])


def main() -> None:
    """Command line."""
    parser = scores_parser(__doc__)
    args = parser.parse_args()
    cards = {p: read_card(args.bundles / p / "weights", p) for p in args.plugins}
    files = files_of(args.research_data)
    clips = judged(args.scores, files, args.research_data, cards)
    folds = np.array([files[j.clip.path]["fold"] for j in clips], np.int64)
    found = {
        name: [
            j.clip._replace(score=float(s), fold=int(f))
            for j, s, f in zip(clips, scores, folds, strict=True)
        ]
        for name, scores in rules(clips, cards, folds).items()
    }
    print("| rule | quality | all | blended | generated |\n|---|---|---|---|---|")
    for name, ruled in found.items():
        for quality in QUALITIES:
            here = [c for c in ruled if c.quality == quality]
            cells = [
                interval(here, partial(auc_within, keep=keep))
                for keep in (lambda _: True, lambda c: c.blended, lambda c: not c.blended)
            ]
            print(f"| {name} | {quality} | {' | '.join(cells)} |", flush=True)
    print("\n| rule, as found | " + " | ".join(f"{c:.0%} decided" for c in COVERAGES) + " |")
    print("|---|" + "---|" * len(COVERAGES))
    for name, ruled in found.items():
        here = [c for c in ruled if c.quality == "found"]
        cells = [interval(here, partial(risk, coverage=c)) for c in COVERAGES]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
