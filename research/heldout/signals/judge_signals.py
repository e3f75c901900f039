"""What each family of signals is worth on tools and people that its fit saw nothing of.

Four folds by tool and person. What is fitted, and how strongly it is held down, is chosen on the three folds that are
not judged. Rows of all views are fitted together; a view is judged alone. AUC within each fold, averaged.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from research.heldout.figures import Clip, auc
from research.heldout.fold_tables import within
from research.heldout.folds import FOLDS

Floats = NDArray[np.float64]


class Table(NamedTuple):
    """Rows are clips at one view."""

    x: Floats
    label: NDArray[np.int64]
    fold: NDArray[np.int64]
    group: NDArray[np.str_]
    tool: NDArray[np.str_]
    view: NDArray[np.str_]
    path: NDArray[np.str_]
    cuts: Floats
    """Short cuts that a fit takes out of `x` first; without columns where it takes out none."""

    def at(self, rows: Any) -> "Table":
        return Table(*(column[rows] for column in self))


def load(
    numbers: Path, files: dict[str, Any], views: Sequence[str], groups: Collection[str]
) -> tuple[list[dict[str, Any]], dict[str, Floats]]:
    """Rows (path, view) that every group has, and each family's numbers: the mean over a clip's runs."""
    held: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    counts: Counter[tuple[str, str]] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for group in groups:
            for view in views:
                for file in sorted((numbers / group / view).glob("*.npz")):
                    archive = np.load(file)
                    key = (str(archive["path"]), view)
                    counts[key] += 1
                    for name in archive.files:
                        if name != "path":
                            over = None if name.endswith(" p") else 0
                            held[key][name] = np.nanmean(
                                archive[name].astype(np.float64), axis=over
                            )
    keys = [k for k in held if counts[k] == len(groups) and files[k[0]]["fold"] >= 0]
    names = sorted({n for k in keys for n in held[k]})
    widths = {n: next(held[k][n].shape for k in keys if n in held[k]) for n in names}
    arrays = {
        n: np.stack([np.atleast_1d(held[k].get(n, np.full(widths[n], np.nan))) for k in keys])
        for n in names
    }
    return [{"path": p, "view": v, **files[p]} for p, v in keys], arrays


def table(rows: Sequence[dict[str, Any]], x: Floats, cuts: Floats | None = None) -> Table:
    """The rows with one family's numbers."""
    pick: Callable[[str], Any] = lambda name: np.array([r[name] for r in rows])  # noqa: E731
    return Table(
        x=x, label=pick("label"), fold=pick("fold"), group=pick("group"), tool=pick("tool"),
        view=pick("view"), path=pick("path"), cuts=np.zeros((len(x), 0)) if cuts is None else cuts,
    )  # fmt: skip


def weights(t: Table) -> Floats:
    """Each class counts the same; within it, tools and people by the root of how many rows they have."""
    unit = np.where(t.label == 1, t.tool, t.group)
    many = Counter(unit.tolist())
    w = np.array([1 / np.sqrt(many[u]) for u in unit])
    for label in (0, 1):
        w[t.label == label] /= max(w[t.label == label].sum(), 1e-9)
    return w * len(w) / 2


class Scaled:
    """Centred and scaled by what was fitted on, held to four spreads; what is missing is zero."""

    def __init__(self, x: Floats) -> None:
        self.middle = np.nan_to_num(np.nanmedian(x, axis=0))
        self.spread = np.nan_to_num(np.nanstd(x, axis=0)) + 1e-6

    def __call__(self, x: Floats) -> Floats:
        return np.asarray(np.nan_to_num(np.clip((x - self.middle) / self.spread, -4, 4)))


def logistic(c: float) -> Callable[[Floats, Any, Floats], Any]:
    """Logistic regression; the more numbers, the more each is held down."""

    def fit(x: Floats, y: Any, w: Floats) -> Any:
        model = LogisticRegression(C=c / x.shape[1], max_iter=300)
        model.fit(x, y, sample_weight=w)
        return model.decision_function

    return fit


def boosted(x: Floats, y: Any, w: Floats) -> Any:
    """Small trees."""
    model = HistGradientBoostingClassifier(
        max_iter=80, learning_rate=0.06, max_leaf_nodes=6, min_samples_leaf=25,
        l2_regularization=5.0, max_features=0.3, random_state=1,
    )  # fmt: skip
    model.fit(x, y, sample_weight=w)
    return lambda z: model.predict_proba(z)[:, 1]


def discriminant(x: Floats, y: Any, w: Floats) -> Any:
    """Linear discriminant of the sixty directions that vary most."""
    model = make_pipeline(
        PCA(min(60, x.shape[1], len(x) - 1), svd_solver="randomized", random_state=1),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3),
    )
    model.fit(x, y)
    return model.decision_function


FITS: dict[str, Callable[[Floats, Any, Floats], Any]] = {
    "logistic .01": logistic(0.01), "logistic .1": logistic(0.1), "logistic 1": logistic(1.0), "discriminant": discriminant, "boosted": boosted,
}  # fmt: skip


def paired(t: Table, files: dict[str, Any]) -> Table:
    """More rows: a forgery and its own footage, each less half of both. Only what they differ in is left."""
    at = {(p, v): n for n, (p, v) in enumerate(zip(t.path, t.view, strict=True))}
    forged, real = [], []
    for n in np.flatnonzero(t.label == 1):
        other = at.get((files[str(t.path[n])]["pair_of"], str(t.view[n])))
        if other is not None:
            forged.append(n)
            real.append(other)
    if not forged:
        return t
    middle = np.nanmedian(t.x, axis=0)
    half = (t.x[forged] - t.x[real]) / 2
    more = t.at(np.array(forged + real))._replace(x=np.concatenate([middle + half, middle - half]))
    return Table(*(np.concatenate([a, b]) for a, b in zip(t, more, strict=True)))


class Beyond:
    """Takes out of a family what is a smooth function of short cuts, as fitted on the rows that train."""

    def __init__(self, t: Table) -> None:
        self.scale = Scaled(t.cuts)
        self.middle = np.nan_to_num(np.nanmean(t.x, axis=0))
        base = self._base(t.cuts)
        y = np.nan_to_num(t.x - self.middle)
        held = base.T @ base + 0.001 * len(base) * np.eye(base.shape[1])
        self.fit = np.linalg.solve(held, base.T @ y)

    def _base(self, cuts: Floats) -> Floats:
        z = self.scale(cuts)
        return np.concatenate([np.ones((len(z), 1)), z, z**2 - 1], 1)

    def __call__(self, t: Table) -> Table:
        return t._replace(x=t.x - self.middle - self._base(t.cuts) @ self.fit)


def scores_of(train: Table, judged: Table, fit: str, files: dict[str, Any], pairs: bool) -> Floats:
    """Scores of `judged` by a fit to `train`, with its pairs if asked for."""
    if train.cuts.shape[1]:
        beyond = Beyond(train)
        train, judged = beyond(train), beyond(judged)
    if pairs:
        train = paired(train, files)
    scale = Scaled(train.x)
    model = FITS[fit](scale(train.x), train.label, weights(train))
    return np.asarray(model(scale(judged.x)), np.float64)


def apart(t: Table, judged: NDArray[np.bool_], among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of `among` shares no person with what is judged."""
    return among & ~judged & ~np.isin(t.group, t.group[judged])


def nested(
    t: Table, files: dict[str, Any], fits: Sequence[str], pairs: bool
) -> tuple[Floats, list[str]]:
    """Scores of every row by a fit that saw none of its fold, and what was chosen for each fold."""
    out = np.full(len(t.label), np.nan)
    chosen = []
    for fold in range(FOLDS):
        judged = t.fold == fold
        among = apart(t, judged, t.fold != fold)
        best, best_value = fits[0], -1.0
        if len(fits) > 1:
            for fit in fits:
                values = []
                for inner in set(range(FOLDS)) - {fold}:
                    test = among & (t.fold == inner)
                    rest = apart(t, test, among & (t.fold != inner))
                    if not rest.any() or not test.any():
                        continue
                    s = scores_of(t.at(rest), t.at(test), fit, files, pairs)
                    y = t.label[test]
                    values.append(auc(s[y == 0], s[y == 1]))
                if np.mean(values) > best_value:
                    best, best_value = fit, float(np.mean(values))
        chosen.append(best)
        out[judged] = scores_of(t.at(among), t.at(judged), best, files, pairs)
    return out, chosen


def clips_of(rows: Sequence[dict[str, Any]], score: Floats) -> list[Clip]:
    """As the tables want them."""
    return [
        Clip(r["path"], r["label"], r["kind"], r["tool"], r["group"], r["view"], float(s), 0.0, r["fold"])
        for r, s in zip(rows, score, strict=True)
    ]  # fmt: skip


def line(clips: Sequence[Clip]) -> dict[str, float]:
    """AUC within folds by view for all, blended, generated."""
    found = {}
    for view in sorted({c.quality for c in clips}):
        here = [c for c in clips if c.quality == view]
        forged = [c for c in here if c.label]
        for name, part in (
            ("all", forged),
            ("blended", [c for c in forged if c.blended]),
            ("generated", [c for c in forged if not c.blended]),
        ):
            found[f"{view} {name}"] = round(within(here, part)[0], 3)
    return found
