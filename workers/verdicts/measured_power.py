"""What verdicts of exactly these weights are worth on tools that they never saw, as it was measured."""

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from unmask.errors import ConfigError
from unmask.frozen import Frozen
from unmask.policy import Policy
from unmask.verdict import Power

POWER_FILE = "power.json"


class MeasuredPower(Frozen):
    """One measurement: of these weights together, at one threshold."""

    members: Annotated[tuple[str, ...], Field(min_length=1)]
    """Slugs, key@weights, in any order."""
    at: float = Field(ge=0.0, le=1.0)
    """The threshold that the shares were counted at."""
    power: Power


_FILE = TypeAdapter(tuple[MeasuredPower, ...])


def power_of(
    slugs: Sequence[str], policy: Policy, measured: Iterable[MeasuredPower]
) -> Power | None:
    """What was measured for exactly these weights at the policy's own threshold, if anything was.

    A policy with other thresholds finds and accuses other shares: for it nothing is claimed.
    """
    wanted = sorted(slugs)
    for entry in measured:
        at = policy.fake_at if entry.power.threshold == "fake_at" else policy.suspicious_at
        if sorted(entry.members) == wanted and entry.at == at:
            return entry.power
    return None


@cache
def shipped_power() -> tuple[MeasuredPower, ...]:
    """The measurements that ship with the plugins; none where the file is absent.

    Raises ConfigError where it says something else.
    """
    file = resources.files("detect_plugins") / POWER_FILE
    if not file.is_file():
        return ()
    try:
        return _FILE.validate_json(file.read_bytes())
    except ValidationError as error:
        raise ConfigError(
            f"{POWER_FILE}: {error.errors()[0]['msg']}.",
            fix="Write it again with `python -m research.heldout.measure --write`.",
        ) from error
