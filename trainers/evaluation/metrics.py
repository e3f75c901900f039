"""What a detector is worth: pure functions of labels (0 real, 1 forged), scores and maps.

Frame and video level, with intervals that respect that frames of one video belong together.
scikit-learn computes what it has; the rest is short.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from unmask.errors import ConfigError
from unmask.frozen import Frozen

Vector = NDArray[np.float64]
Metric = Callable[[Vector, Vector], float]


class Estimate(Frozen):
    """A figure with its bootstrap interval; None where it could not be computed."""

    value: float
    low: float | None = None
    high: float | None = None


class Report(Frozen):
    """Every figure of one set of samples (frames or videos)."""

    real: int
    fake: int
    auc: Estimate
    ap: Estimate
    eer: Estimate
    acc: Estimate
    """At probability 0.5."""
    tpr_at_fpr_01: Estimate
    """True-positive rate at 1 % false positives."""
    tpr_at_fpr_001: Estimate
    """At 0.1 %; with fewer than 1,000 reals this is the rate at zero false positives."""
    ece: Estimate


class HeatmapReport(Frozen):
    """Heatmaps against masks, over the forged samples that have a mask with forged pixels."""

    samples: int
    skipped_empty: int
    """Forged samples whose mask is empty: not judged, not counted as misses."""
    pixel_auc: float | None
    """Mean over samples of the AUC of map values for forged against genuine pixels."""
    iou: float | None
    """Mean intersection over union at `threshold`."""
    pointing: float | None
    """Share of samples whose hottest cell lies on the mask."""
    threshold: float


def by_video(
    keys: Sequence[str],
    labels: ArrayLike,
    scores: ArrayLike,
    aggregate: Callable[[Vector], float] = lambda v: float(np.mean(v)),
) -> tuple[list[str], Vector, Vector]:
    """Frame scores to one score per video, in order of first appearance.

    Returns keys, labels and scores of the videos. Raises ConfigError where frames of one video
    disagree on its label.
    """
    y, s = np.asarray(labels, float), np.asarray(scores, float)
    frames: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        frames.setdefault(key, []).append(index)
    for key, rows in frames.items():
        if len(set(y[rows])) > 1:
            raise ConfigError(
                f"video {key!r} has frames labelled real and frames labelled forged.",
                fix="Check the reader's video keys.",
            )
    names = list(frames)
    return (
        names,
        np.array([y[frames[name][0]] for name in names]),
        np.array([aggregate(s[frames[name]]) for name in names]),
    )


def auc(labels: Vector, scores: Vector) -> float:
    """Area under the ROC curve; ties count half. Raises ConfigError on one class only."""
    _two_classes(labels)
    return float(roc_auc_score(labels, scores))


def average_precision(labels: Vector, scores: Vector) -> float:
    """Average precision of the forged class."""
    _two_classes(labels)
    return float(average_precision_score(labels, scores))


def eer(labels: Vector, scores: Vector) -> float:
    """Equal error rate: where false alarms equal misses, linear between the points of the ROC."""
    _two_classes(labels)
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    gap = fpr - (1.0 - tpr)  # rises from -1 to 1
    after = int(np.argmax(gap >= 0))
    if after == 0 or gap[after] == 0:
        return float(fpr[after])
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(fpr[after - 1] + share * (fpr[after] - fpr[after - 1]))


def accuracy(labels: Vector, scores: Vector, threshold: float = 0.5) -> float:
    """Share judged right at `threshold`; a score on it counts as forged, as in policies."""
    return float(np.mean((scores >= threshold) == (labels > 0.5)))


def tpr_at_fpr(labels: Vector, scores: Vector, fpr: float) -> float:
    """Largest true-positive rate whose false-positive rate is at most `fpr`; no interpolation."""
    _two_classes(labels)
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    return float(true[false <= fpr + 1e-12].max())


def fpr_at(labels: Vector, scores: Vector, threshold: float) -> float | None:
    """Share of reals at or above `threshold`; None without reals."""
    reals = scores[labels < 0.5]
    return float(np.mean(reals >= threshold)) if len(reals) else None


def ece(labels: Vector, scores: Vector, bins: int = 15) -> float:
    """Expected calibration error over equal-width bins of the probability (Guo et al. 2017)."""
    edges = np.clip((np.asarray(scores) * bins).astype(int), 0, bins - 1)
    total = 0.0
    for b in range(bins):
        inside = edges == b
        if inside.any():
            total += inside.sum() * abs(labels[inside].mean() - scores[inside].mean())
    return float(total / len(labels))


def bootstrap(
    metric: Metric,
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    rounds: int = 500,
    seed: int = 0,
) -> Estimate:
    """The metric with its 95 % percentile interval.

    Whole groups (videos) are drawn with replacement, class by class so that no draw loses one;
    a seed gives the same interval. `rounds` = 0: the value alone.
    """
    y, s = np.asarray(labels, float), np.asarray(scores, float)
    value = metric(y, s)
    if rounds == 0:
        return Estimate(value=value)
    names = np.asarray(groups if groups is not None else np.arange(len(y)).astype(str))
    order = np.argsort(names, kind="stable")
    _, starts = np.unique(names[order], return_index=True)
    members = np.split(order, starts[1:])
    strata = [[m for m in members if y[m[0]] == c] for c in (0.0, 1.0)]
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(rounds):
        rows = np.concatenate(
            [
                stratum[i]
                for stratum in strata
                if stratum
                for i in rng.integers(0, len(stratum), len(stratum))
            ]
        )
        draws.append(metric(y[rows], s[rows]))
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value=value, low=float(low), high=float(high))


def report(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    rounds: int = 500,
    seed: int = 0,
) -> Report:
    """Every figure at once. Raises ConfigError on one class only, or on a score that is not finite."""
    y, s = np.asarray(labels, float), np.asarray(scores, float)
    if not np.isfinite(s).all():
        raise ConfigError(f"{int((~np.isfinite(s)).sum())} scores are not finite.")
    _two_classes(y)

    def estimate(metric: Metric) -> Estimate:
        return bootstrap(metric, y, s, groups=groups, rounds=rounds, seed=seed)

    return Report(
        real=int((y < 0.5).sum()),
        fake=int((y > 0.5).sum()),
        auc=estimate(auc),
        ap=estimate(average_precision),
        eer=estimate(eer),
        acc=estimate(accuracy),
        tpr_at_fpr_01=estimate(lambda a, b: tpr_at_fpr(a, b, 0.01)),
        tpr_at_fpr_001=estimate(lambda a, b: tpr_at_fpr(a, b, 0.001)),
        ece=estimate(ece),
    )


def pixel_auc(heatmap: Vector, mask: NDArray[np.bool_]) -> float | None:
    """AUC of the map's values, forged against genuine pixels; None where the mask has one class."""
    flat = mask.ravel()
    if flat.all() or not flat.any():
        return None
    return float(roc_auc_score(flat, heatmap.ravel()))


def iou_at(heatmap: Vector, mask: NDArray[np.bool_], threshold: float) -> float:
    """Intersection over union of map >= threshold with the mask; 1 where both are empty."""
    hot = heatmap >= threshold
    union = int((hot | mask).sum())
    return float((hot & mask).sum() / union) if union else 1.0


def points_at(heatmap: Vector, mask: NDArray[np.bool_]) -> bool:
    """Whether the hottest cell lies on the mask; a flat map points nowhere."""
    if heatmap.max() == heatmap.min():
        return False
    return bool(mask.ravel()[int(np.argmax(heatmap))])


def heatmap_report(
    maps: Sequence[NDArray[np.floating]],
    masks: Sequence[NDArray[np.floating] | NDArray[np.bool_]],
    threshold: float = 0.5,
) -> HeatmapReport:
    """Maps (h, w) in 0..1 against masks (H, W), forged where > 0.5; maps are resized to the masks.

    Pass forged samples only: a real has nothing to point at.
    """
    aucs, ious, hits, empty = [], [], [], 0
    for heatmap, raw in zip(maps, masks, strict=True):
        mask = np.asarray(raw) > 0.5
        if not mask.any():
            empty += 1
            continue
        resized = resize_map(heatmap, mask.shape[0], mask.shape[1])
        value = pixel_auc(resized, mask)
        if value is not None:
            aucs.append(value)
        ious.append(iou_at(resized, mask, threshold))
        hits.append(points_at(resized, mask))
    return HeatmapReport(
        samples=len(ious),
        skipped_empty=empty,
        pixel_auc=float(np.mean(aucs)) if aucs else None,
        iou=float(np.mean(ious)) if ious else None,
        pointing=float(np.mean(hits)) if hits else None,
        threshold=threshold,
    )


def resize_map(heatmap: NDArray[np.floating], height: int, width: int) -> Vector:
    """Bilinear, half-pixel centres, edges repeated: as moderators see it drawn."""
    h, w = heatmap.shape
    ys = np.clip((np.arange(height) + 0.5) * h / height - 0.5, 0, h - 1)
    xs = np.clip((np.arange(width) + 0.5) * w / width - 0.5, 0, w - 1)
    y0, x0 = np.floor(ys).astype(int), np.floor(xs).astype(int)
    y1, x1 = np.minimum(y0 + 1, h - 1), np.minimum(x0 + 1, w - 1)
    fy, fx = (ys - y0)[:, None], (xs - x0)[None, :]
    m = np.asarray(heatmap, np.float64)
    top = m[np.ix_(y0, x0)] * (1 - fx) + m[np.ix_(y0, x1)] * fx
    bottom = m[np.ix_(y1, x0)] * (1 - fx) + m[np.ix_(y1, x1)] * fx
    resized: Vector = top * (1 - fy) + bottom * fy
    return resized


def _two_classes(labels: Vector) -> None:
    reals = int((labels < 0.5).sum())
    if reals in (0, len(labels)):
        only = "reals" if reals else "forgeries" if len(labels) else "nothing at all"
        raise ConfigError(
            f"the set holds {only} only: {len(labels)} samples of one class have no ROC.",
            fix="Evaluate on a set with reals and forgeries.",
        )
