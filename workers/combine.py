"""Several plugins, one probability: named and versioned, weighted, calibrated where measured.

"logit-mean": the mean of the plugins' calibrated logits, weighted by each bundle's
`combination_weight`; then, where detect_plugins/combinations.json holds a calibration for exactly
these plugins with exactly these weights, that calibration.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from unmask.errors import ConfigError
from unmask.frozen import Frozen
from unmask.verdict import Named
from workers.calibrate import logit, platt, sigmoid

COMBINATION = Named(name="logit-mean", version="1")
COMBINATIONS_FILE = "combinations.json"


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


_FILE = TypeAdapter(tuple[Combination, ...])


def combine(weighted: Iterable[tuple[float, float]]) -> float:
    """The weighted logit-mean of (probability, weight) pairs; one pair alone is kept as it is.

    Raises ValueError for no pair. Where every weight is 0, all count alike.
    """
    pairs = sorted(weighted)  # the order of summing must not show in the last digit
    if not pairs:
        raise ValueError("nothing to combine")
    if len(pairs) == 1:
        return pairs[0][0]
    total = math.fsum(weight for _, weight in pairs)
    if total == 0:
        return combine((p, 1.0) for p, _ in pairs)
    return sigmoid(math.fsum(weight * logit(p) for p, weight in pairs) / total)


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
