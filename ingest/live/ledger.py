"""Every second of a stream accounted for: judged, no face, too small, dropped, gap. Pure.

A look speaks for the time since the one before it, up to the time it may speak for at most; the last
one of a stretch also for what follows it, as far. What is left over is a gap. So the parts of a stretch always add up to it, to the millisecond.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["judged", "no_face", "too_small", "dropped"]


@dataclass(frozen=True, order=True)
class Look:
    """What became of one sampled frame."""

    arrived_ms: int
    """Since the stream was taken up, on this machine's clock."""
    outcome: Outcome = "judged"
    reason: str = ""
    """Why it was dropped."""


@dataclass(frozen=True)
class Account:
    """Milliseconds of wall clock by what became of them."""

    judged: int = 0
    no_face: int = 0
    too_small: int = 0
    dropped: tuple[tuple[str, int], ...] = ()
    """By reason."""
    gap: tuple[tuple[str, int], ...] = ()
    """By reason: connecting, stalled, reconnecting, sparse."""

    @property
    def total(self) -> int:
        """All of it."""
        parts = self.judged + self.no_face + self.too_small
        return parts + sum(ms for _, ms in self.dropped) + sum(ms for _, ms in self.gap)

    def __add__(self, other: "Account") -> "Account":
        return Account(
            self.judged + other.judged,
            self.no_face + other.no_face,
            self.too_small + other.too_small,
            _joined(self.dropped, other.dropped),
            _joined(self.gap, other.gap),
        )


@dataclass(frozen=True)
class StateChange:
    """From this moment on a gap has this reason."""

    at_ms: int
    reason: str


def account(
    start_ms: int,
    end_ms: int,
    looks: Iterable[Look],
    states: Iterable[StateChange],
    *,
    speaks_for_ms: int,
) -> Account:
    """What became of the time from `start_ms` to `end_ms`.

    `looks` that arrived in it; `states`: every change so far. A look speaks for at most
    `speaks_for_ms`.

    >>> account(0, 5000, [Look(500), Look(1000)], [StateChange(0, "stalled")], speaks_for_ms=1000)
    Account(judged=2000, no_face=0, too_small=0, dropped=(), gap=(('stalled', 3000),))
    """
    spent: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    gaps: Counter[str] = Counter()
    changes = sorted(states, key=lambda change: change.at_ms)
    at = start_ms
    ordered = sorted(looks)
    for number, look in enumerate(ordered):
        until = min(max(look.arrived_ms, at), end_ms)
        begun = max(at, until - speaks_for_ms)
        _gap(gaps, at, begun, changes)
        if _goes_on(until, end_ms, later=ordered[number + 1 :], changes=changes):
            # The next look is in the next stretch: until then this one speaks.
            until = min(end_ms, until + speaks_for_ms)
        if look.outcome == "dropped":
            dropped[look.reason] += until - begun
        else:
            spent[look.outcome] += until - begun
        at = until
    _gap(gaps, at, end_ms, changes)
    return Account(
        judged=spent["judged"],
        no_face=spent["no_face"],
        too_small=spent["too_small"],
        dropped=_sorted(dropped),
        gap=_sorted(gaps),
    )


def _goes_on(until_ms: int, end_ms: int, *, later: list[Look], changes: list[StateChange]) -> bool:
    """Whether a look is the last of its stretch, and nothing happened to the stream after it."""
    return not later and not any(until_ms < change.at_ms <= end_ms for change in changes)


def _gap(gaps: "Counter[str]", start_ms: int, end_ms: int, changes: list[StateChange]) -> None:
    """Share out a stretch without looks among the states it ran through."""
    at, reason = start_ms, "connecting"
    for change in changes:
        if change.at_ms > at:
            until = min(change.at_ms, end_ms)
            gaps[reason] += max(0, until - at)
            at = max(at, until)
        if change.at_ms >= end_ms:
            break
        reason = change.reason
    gaps[reason] += max(0, end_ms - at)


def _sorted(parts: "Counter[str]") -> tuple[tuple[str, int], ...]:
    return tuple(sorted((reason, ms) for reason, ms in parts.items() if ms))


def _joined(
    a: tuple[tuple[str, int], ...], b: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, int], ...]:
    return _sorted(Counter(dict(a)) + Counter(dict(b)))
