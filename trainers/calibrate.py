"""From raw video scores to probabilities, thresholds and the limit of what a plugin will judge.

Fitted on a named held-out set *after* aggregation, never on training data.

    python -m trainers.calibrate evaluation.json --name "held-out v1" --out calibration.json
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from trainers.evaluation.metrics import auc, bootstrap
from trainers.evaluation.scores import VideoScore, read_scores
from unmask.bundle import Abstention, Calibration
from unmask.errors import ConfigError
from unmask.frozen import Frozen
from workers.verdicts.arithmetic.probability import calibrated, logit, sigmoid

Vector = NDArray[np.float64]
FACE_BANDS = ((0.0, 96.0), (96.0, 192.0), (192.0, float("inf")))
"""Face sizes in frame pixels that get thresholds of their own where data allows."""
MIN_REALS_A_BUCKET = 20
"""Fewer reals say nothing about a false-positive rate of 5 %: no threshold is written."""


class Fitted(Frozen):
    """What `export.py` puts into a bundle."""

    calibration: Calibration
    thresholds: dict[str, float]
    reals: int = 0
    """Real videos of the set."""
    no_signal: bool = False
    """Fitted although the scores are no better than chance."""


def fit_platt(raw: ArrayLike, labels: ArrayLike, *, fitted_on: str) -> Calibration:
    """p = sigmoid(slope * logit(raw) + intercept), both classes weighing the same.

    Platt's smoothed targets keep a separable set from asking for an infinite slope. A slope that
    comes out negative means that the scores point the wrong way: ConfigError, never a silent flip.
    """
    y = np.asarray(labels, float)
    x = np.array([logit(float(r)) for r in np.asarray(raw, float)])
    positive, negative = _class_counts(y)
    target = np.where(y > 0.5, (positive + 1) / (positive + 2), 1 / (negative + 2))
    weight = np.where(y > 0.5, 0.5 / positive, 0.5 / negative)

    def loss(theta: Vector) -> tuple[float, Vector]:
        z = theta[0] * x + theta[1]
        p = 1.0 / (1.0 + np.exp(-np.clip(z, -60, 60)))
        value = float(np.sum(weight * (np.logaddexp(0.0, z) - target * z)))
        slope = weight * (p - target)
        return value, np.array([np.sum(slope * x), np.sum(slope)])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B")
    slope, intercept = (float(v) for v in found.x)
    if slope <= 0:
        raise ConfigError(
            f"calibration slope {slope:.3f} on {fitted_on!r}: higher scores go with reals there.",
            fix="The detector is at or below chance on this set; do not ship it.",
        )
    return Calibration(method="platt", fitted_on=fitted_on, slope=slope, intercept=intercept)


def fit_isotonic(raw: ArrayLike, labels: ArrayLike, *, fitted_on: str) -> Calibration:
    """A rising step-and-line curve, kept off 0 and 1 by one pseudo-count per class."""
    r, y = np.asarray(raw, float), np.asarray(labels, float)
    positive, negative = _class_counts(y)
    weight = np.where(y > 0.5, 0.5 / positive, 0.5 / negative)
    model = IsotonicRegression(out_of_bounds="clip").fit(r, y, sample_weight=weight)
    floor = 1.0 / (positive + negative + 2)
    ys = np.clip(model.y_thresholds_, floor, 1.0 - floor)
    return Calibration(
        method="isotonic",
        fitted_on=fitted_on,
        xs=tuple(float(v) for v in model.X_thresholds_),
        ys=tuple(float(v) for v in ys),
    )


def apply(calibration: Calibration | None, raw: ArrayLike) -> Vector:
    """Probabilities of raw scores, by the workers' own function."""
    return np.array([calibrated(float(r), calibration) for r in np.asarray(raw, np.float64)])


def threshold_at_fpr(real_p: ArrayLike, fpr: float) -> float:
    """The lowest threshold at which at most a share `fpr` of these reals is called forged.

    >>> threshold_at_fpr([0.1, 0.2, 0.3, 0.4], 0.25) <= 0.4
    True
    """
    p = np.sort(np.asarray(real_p, np.float64))[::-1]
    if not len(p):
        raise ConfigError("no real video to set a false-positive rate by.")
    allowed = int(np.floor(fpr * len(p) + 1e-9))
    if allowed >= len(p):
        return 0.0
    return float(min(1.0, np.nextafter(p[allowed], 2.0)))


def thresholds(
    videos: Sequence[VideoScore],
    calibration: Calibration | None,
    fprs: Iterable[float] = (0.05, 0.01),
) -> dict[str, float]:
    """Operating points on the calibrated probability.

    `fpr_0.05` holds at *every* quality with enough reals (the worst bucket decides);
    `fpr_0.05_overall` over all of them together; `fpr_0.05|quality=...` and `fpr_0.05|face_px=a-b`
    where a bucket has at least MIN_REALS_A_BUCKET reals.
    """
    reals = [v for v in videos if v.label == 0]
    p = apply(calibration, [v.raw for v in reals])
    points: dict[str, float] = {}
    for fpr in fprs:
        name = f"fpr_{fpr:g}"
        overall = threshold_at_fpr(p, fpr)
        points[f"{name}_overall"] = overall
        worst = overall
        for quality in sorted({v.quality for v in reals}):
            inside = [i for i, v in enumerate(reals) if v.quality == quality]
            if len(inside) >= MIN_REALS_A_BUCKET:
                here = threshold_at_fpr(p[inside], fpr)
                points[f"{name}|quality={quality}"] = here
                worst = max(worst, here)
        points[name] = worst
        for low, high in FACE_BANDS:
            inside = [
                i for i, v in enumerate(reals) if v.face_px is not None and low <= v.face_px < high
            ]
            if len(inside) >= MIN_REALS_A_BUCKET:
                points[f"{name}|face_px={low:g}-{high:g}"] = threshold_at_fpr(p[inside], fpr)
    return points


def fit_abstention(
    features: NDArray[np.floating], *, percentile: float = 99.5
) -> tuple[NDArray[np.float32], NDArray[np.float32], Abstention]:
    """Mean and scale (D,) of pooled training features (N, D), and the limit of the distance.

    The limit is the percentile of the distances of `features`; pass held-out in-distribution
    features to `limit_for` for a better one. Raises ConfigError on fewer than 32 rows.
    """
    if features.ndim != 2 or len(features) < 32:
        raise ConfigError(f"features of shape {features.shape}: at least 32 rows are needed.")
    mean = features.mean(axis=0, dtype=np.float64)
    scale = features.std(axis=0, dtype=np.float64)
    # A dead channel has no spread: any value there would be infinitely surprising.
    scale = np.maximum(
        scale, 0.05 * float(np.median(scale[scale > 0])) if (scale > 0).any() else 1.0
    )
    limit = limit_for(features, mean, scale, percentile=percentile)
    return (
        mean.astype(np.float32),
        scale.astype(np.float32),
        Abstention(method="mahalanobis", limit=limit),
    )


def limit_for(
    features: NDArray[np.floating],
    mean: NDArray[np.floating],
    scale: NDArray[np.floating],
    *,
    percentile: float,
) -> float:
    """The distance that `percentile` % of these features stay under."""
    return float(np.percentile(ood_distance(features, mean, scale), percentile))


def ood_distance(
    features: NDArray[np.floating], mean: NDArray[np.floating], scale: NDArray[np.floating]
) -> Vector:
    """Root mean square of the standardised features (N, D) -> (N,): about 1 in distribution."""
    z = (np.asarray(features, np.float64) - mean) / scale
    return np.asarray(np.sqrt(np.mean(z * z, axis=1)), np.float64)


def fit(
    videos: Sequence[VideoScore],
    *,
    name: str,
    method: Literal["platt", "isotonic"] = "platt",
    fprs: Iterable[float] = (0.05, 0.01),
    prior: float = 0.5,
    allow_no_signal: bool = False,
) -> Fitted:
    """Calibration and thresholds from one held-out set of video scores.

    Both classes weigh the same in the fit; `prior` is then how likely a forgery of the kind looked for
    is held to be before the picture is seen. Under one half it makes a specialist need more evidence.

    Raises ConfigError where the scores know nothing (`nothing_known`), unless `allow_no_signal`.
    """
    raw, labels = [v.raw for v in videos], [v.label for v in videos]
    reals = labels.count(0)
    fitted_on = f"{name}: {reals} real and {len(labels) - reals} forged videos"
    fitted_on += "" if prior == 0.5 else f", then moved to a prior of {prior:g}"
    blind = _no_better_than_chance(raw, labels)
    _refuse(blind, name, allow_no_signal)
    fitter = fit_platt if method == "platt" else fit_isotonic
    if blind:
        calibration = _constant(prior, fitted_on)
    else:
        calibration = with_prior(fitter(raw, labels, fitted_on=fitted_on), prior)
    fitted = Fitted(
        calibration=calibration,
        thresholds=thresholds(videos, calibration, fprs),
        no_signal=bool(blind),
    )
    if not blind:
        # Of raw scores: a step of an isotonic fit may hold both points and still know something.
        blind = coinciding(thresholds(videos, None, fprs), reals)
        _refuse(blind, name, allow_no_signal)
    return fitted.model_copy(update={"no_signal": bool(blind), "reals": reals})


def _no_better_than_chance(raw: Sequence[float], labels: Sequence[int]) -> str:
    """Why these scores know nothing, or "": the lower end of the 95 % interval of their AUC."""
    _class_counts(np.asarray(labels, float))
    found = bootstrap(auc, labels, raw)
    if found.low is not None and found.low > 0.5:
        return ""
    return (
        f"an AUC of {found.value:.3f} whose interval starts at {found.low:.3f} is not above chance"
    )


def coinciding(points: Mapping[str, float], reals: int) -> str:
    """Why two operating points over all reals are the same one, or "".

    Points that let the same number of `reals` through are the same for lack of reals.
    """
    by_allowed: dict[int, float] = {}
    for name, value in points.items():
        if name.endswith("_overall"):
            fpr = float(name.removeprefix("fpr_").removesuffix("_overall"))
            by_allowed[int(np.floor(fpr * reals + 1e-9))] = value
    if len(set(by_allowed.values())) == len(by_allowed):
        return ""
    return f"operating points coincide at {min(by_allowed.values()):.4f}"


def _constant(prior: float, fitted_on: str) -> Calibration:
    """The same probability whatever the score: all that is known is the prior."""
    return Calibration(method="platt", fitted_on=fitted_on, slope=0.0, intercept=logit(prior))


def _refuse(blind: str, name: str, allowed: bool) -> None:
    if blind and not allowed:
        raise ConfigError(
            f"these weights tell forged from real no better than chance on {name!r}: {blind}.",
            fix="Train longer, from other weights or on other data, or judge more videos; "
            "--no-signal exports them all the same, and every verdict then says so.",
        )


def with_prior(calibration: Calibration, prior: float) -> Calibration:
    """The same evidence with another prior than one half: logits (or isotonic heights) move by its logit.

    >>> platt = Calibration(method="platt", fitted_on="x", slope=2.0, intercept=0.0)
    >>> round(calibrated(0.5, with_prior(platt, 0.2)), 3)
    0.2
    """
    if prior == 0.5:
        return calibration
    shift = logit(prior)
    moved = tuple(sigmoid(logit(y) + shift) for y in calibration.ys)
    return calibration.model_copy(update={"intercept": calibration.intercept + shift, "ys": moved})


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: video scores in, calibration.json out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", type=Path, help="JSON written by trainers/evaluate.py")
    parser.add_argument(
        "--name", required=True, help="name of the held-out set, kept in the bundle"
    )
    parser.add_argument("--method", choices=("platt", "isotonic"), default="platt")
    parser.add_argument("--fpr", type=float, nargs="+", default=[0.05, 0.01])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--no-signal", action="store_true", help="calibrate weights that know nothing"
    )
    args = parser.parse_args(argv)
    fitted = fit(
        read_scores(args.scores),
        name=args.name,
        method=args.method,
        fprs=args.fpr,
        allow_no_signal=args.no_signal,
    )
    args.out.write_text(fitted.model_dump_json(indent=2) + "\n", encoding="utf-8")
    print(f"{fitted.calibration.method} fitted on {fitted.calibration.fitted_on}")
    for point, value in fitted.thresholds.items():
        print(f"  {point:32s} {value:.4f}")


def _class_counts(labels: Vector) -> tuple[int, int]:
    positive = int((labels > 0.5).sum())
    negative = len(labels) - positive
    if not positive or not negative:
        raise ConfigError(
            f"calibration needs both classes: {negative} reals, {positive} forgeries.",
            fix="Add the missing class to the held-out set.",
        )
    return positive, negative


if __name__ == "__main__":
    main()
