"""Several plugins, one probability: named and versioned, weighted, calibrated where measured.

"likeliest-kind": plugins that look for the same kind of forgery are averaged (the mean of their calibrated
logits, weighted by each bundle's `combination_weight`), and of the kinds the likelier counts. A face is
forged if it was pasted in *or* drawn whole; to average over kinds would let the one detector that sees
nothing of its own kind talk the other out of what it sees. A plugin that looks for any kind counts in each.
Then, where detect_plugins/combinations.json holds a calibration for exactly these plugins with exactly
these weights, that calibration.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Annotated, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from unmask.bundle import Finds
from unmask.errors import ConfigError
from unmask.frozen import Frozen
from unmask.verdict import Named
from workers.verdicts.arithmetic.correction import LengthFit
from workers.verdicts.arithmetic.probability import logit, platt, sigmoid

COMBINATION = Named(name="likeliest-kind", version="1")
COMBINATIONS_FILE = "combinations.json"


class ShortFit(Frozen):
    """From the p of a short window to one that stands beside longer ones: a Platt calibration."""

    slope: float = Field(gt=0.0)
    intercept: float


class Combination(Frozen):
    """A calibration of several plugins together, fitted on the held-out set that it names."""

    members: Annotated[tuple[str, ...], Field(min_length=2)]
    """Slugs, key@weights, in any order."""
    slope: float
    intercept: float
    fitted_on: str
    version: str
    thresholds: dict[str, float] = Field(default_factory=dict)
    """Operating points of all members together, named as a bundle's are."""
    short: ShortFit | None = None
    """Of windows of the shorter length; None where it was not fitted."""
    length: LengthFit | None = None
    """What the number of windows takes off; None where it was not fitted for these plugins."""


_FILE = TypeAdapter(tuple[Combination, ...])


class Vote(NamedTuple):
    """What one plugin says of one face."""

    p: float
    weight: float = 1.0
    finds: Finds = "any"


def by_kind(members: Iterable[Vote]) -> Mapping[Finds, tuple[Vote, ...]]:
    """The members that speak of each kind that somebody looks for; "any" where nobody is a specialist."""
    told = sorted(members)  # the order of summing must not show in the last digit
    kinds = sorted({m.finds for m in told} - {"any"}) or sorted({m.finds for m in told})
    return {kind: tuple(m for m in told if m.finds in (kind, "any")) for kind in kinds}


def likeliest(members: Iterable[Vote]) -> tuple[float, Finds]:
    """The probability of the likelier kind of forgery, and which it is.

    Raises ValueError for no member.
    """
    means = {kind: _logit_mean(group) for kind, group in by_kind(members).items()}
    if not means:
        raise ValueError("nothing to combine")
    kind = max(means, key=lambda name: means[name])
    return means[kind], kind


def combine(members: Iterable[Vote]) -> float:
    """As `likeliest`, the probability alone."""
    return likeliest(members)[0]


def _logit_mean(members: Sequence[Vote]) -> float:
    """Weighted; one member alone is kept as it is, and where every weight is 0, all count alike."""
    if len(members) == 1:
        return members[0].p
    total = math.fsum(m.weight for m in members)
    if total == 0:
        return _logit_mean([m._replace(weight=1.0) for m in members])
    return sigmoid(math.fsum(m.weight * logit(m.p) for m in members) / total)


def find(slugs: Sequence[str], combinations: Iterable[Combination]) -> Combination | None:
    """The calibration fitted for exactly these plugins and weights, if there is one."""
    wanted = sorted(slugs)
    return next((c for c in combinations if sorted(c.members) == wanted), None)


def apply(p: float, combination: Combination | None) -> float:
    """`p` calibrated for the combination; `p` itself without one."""
    return p if combination is None else platt(p, combination.slope, combination.intercept)


@cache
def shipped() -> tuple[Combination, ...]:
    """The calibrations that ship with the plugins; none where the file is absent.

    Raises ConfigError where it says something else.
    """
    file = resources.files("detect_plugins") / COMBINATIONS_FILE
    if not file.is_file():
        return ()
    try:
        return _FILE.validate_json(file.read_bytes())
    except ValidationError as error:
        raise ConfigError(
            f"{COMBINATIONS_FILE}: {error.errors()[0]['msg']}.",
            fix="Fit the combination again with trainers/calibrate.py.",
        ) from error
