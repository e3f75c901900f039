"""Several families together: each fitted alone, their scores weighed without a negative weight.

For each fold that is judged the weights come from the other three: there, each family's scores are of clips that its
fit saw nothing of.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from research.heldout.folds import FOLDS
from research.heldout.signals.judge_signals import Floats, Table, apart, scores_of, weights


def standard(train: Floats, scores: Floats) -> Floats:
    """In spreads of what was fitted on."""
    return np.asarray(np.clip((scores - train.mean()) / (train.std() + 1e-9), -3, 3))


def blind_scores(
    t: Table, files: dict[str, Any], fit: str, pairs: bool
) -> dict[int, tuple[NDArray[np.bool_], Floats]]:
    """By judged fold: which rows have a score (its own and those that may train), and the scores."""
    found = {}
    for fold in range(FOLDS):
        judged = t.fold == fold
        among = apart(t, judged, t.fold != fold)
        scores = np.full(len(t.label), np.nan)
        own = scores_of(t.at(among), t, fit, files, pairs)
        scores[judged] = standard(own[among], own)[judged]
        for inner in set(range(FOLDS)) - {fold}:
            test = among & (t.fold == inner)
            rest = apart(t, test, among & (t.fold != inner))
            own = scores_of(t.at(rest), t, fit, files, pairs)
            scores[test] = standard(own[rest], own)[test]
        found[fold] = (among, scores)
    return found


def weighed(x: Floats, y: Any, w: Floats, hold: float = 0.05) -> Floats:
    """Weights of a logistic fit, none below zero, the last one the constant."""

    def loss(b: Floats) -> tuple[float, Floats]:
        z = x @ b[:-1] + b[-1]
        p = 1 / (1 + np.exp(-z))
        value = (w * (np.logaddexp(0, z) - y * z)).sum() / w.sum() + hold * (b[:-1] ** 2).sum()
        slope = w * (p - y) / w.sum()
        return float(value), np.append(x.T @ slope + 2 * hold * b[:-1], slope.sum())

    many = x.shape[1]
    bounds = [(0.0, None)] * many + [(None, None)]
    return np.asarray(minimize(loss, np.full(many + 1, 0.1), jac=True, bounds=bounds).x)


def stacked(
    t: Table, families: Mapping[str, Mapping[int, tuple[Any, Floats]]], names: Sequence[str]
) -> tuple[Floats, list[dict[str, float]]]:
    """Scores of every row by families that saw none of its fold, and each fold's weights."""
    out = np.full(len(t.label), np.nan)
    kept = []
    for fold in range(FOLDS):
        among = families[names[0]][fold][0]
        judged = t.fold == fold
        x = np.stack([families[n][fold][1] for n in names], 1)
        b = weighed(x[among], t.label[among], weights(t.at(among)))
        out[judged] = x[judged] @ b[:-1] + b[-1]
        kept.append({n: round(float(v), 2) for n, v in zip(names, b, strict=False)})
    return out, kept
