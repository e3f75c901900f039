"""Which frames of a video are looked at. Policies work in time, not in frames. Pure.

    uniform:N      N looks, evenly through the video's time
    every:SECONDS  one look per so many seconds
    fps:F          F looks per second
    keyframes      the pictures that the encoder began anew at
    all            every frame
    adaptive       three looks per second, more in a short video, and in each shot enough to judge it

None takes more looks than the caller allows: what is over is thinned, evenly in time.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from unmask.errors import ConfigError

_FIX = "Name adaptive, uniform:N, every:SECONDS, fps:F, keyframes or all, for example uniform:32."
#: adaptive: a video has so many looks however short it is; then so many per second.
LEAST_LOOKS = 32
LOOKS_PER_SECOND = 3
#: adaptive: a shot has so many looks, some more than a track needs to be judged.
SHOT_LOOKS = 8
#: Looks that a limit in proportion to the length always allows: every frame of a short clip.
_ALWAYS_LOOKS = 512


@dataclass(frozen=True, kw_only=True)
class PlannedLooks:
    """As messages.Looks, which brings pydantic: the decoder starts for each video, and without that."""

    budget: int | None
    steady: int
    shots: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The frames to look at, and why these."""

    chosen: list[int]
    """Indices, ascending and distinct."""
    looks: PlannedLooks
    longest_unlooked_ms: int
    """Between two looks, or before the first, or after the last."""


@dataclass(frozen=True)
class SamplingPolicy:
    """A policy as parsed by `parse_policy`."""

    kind: Literal["adaptive", "uniform", "every", "fps", "keyframes", "all"]
    value: float = 0.0
    """uniform: number of looks; every: seconds; fps: looks per second."""

    def choose(self, pts_ms: Sequence[float], keyframes: Sequence[bool]) -> list[int]:
        """Indices of the chosen frames, ascending and distinct; `adaptive` knows of no shots here.

        `pts_ms`: presentation times in order, ms. `keyframes`: same length.

        >>> parse_policy("uniform:3").choose([0, 40, 80, 120, 160], [True] + [False] * 4)
        [0, 2, 4]
        >>> parse_policy("fps:10").choose([0, 40, 80, 120, 160], [True] + [False] * 4)
        [0, 3]
        """
        if self.kind == "adaptive":
            return evenly(pts_ms, _steady(pts_ms))
        if self.kind == "uniform":
            return evenly(pts_ms, int(self.value))
        if self.kind == "every":
            return _every(pts_ms, self.value * 1000.0)
        if self.kind == "fps":
            return _every(pts_ms, 1000.0 / self.value)
        if self.kind == "keyframes":
            return [index for index, key in enumerate(keyframes) if key]
        return list(range(len(pts_ms)))

    def plan(
        self,
        pts_ms: Sequence[float],
        keyframes: Sequence[bool],
        *,
        end_ms: float,
        cuts: Sequence[int] = (),
        most: int | None = None,
    ) -> Plan:
        """As `choose`, with a limit, and with more looks in short shots where the policy is `adaptive`.

        `end_ms`: when the last frame has been shown. `cuts`: first frames of new shots, ascending.
        """
        chosen = self.choose(pts_ms, keyframes)
        if most is not None and len(chosen) > most:
            chosen = [chosen[i] for i in evenly([pts_ms[i] for i in chosen], most)]
        steady = len(chosen)
        if self.kind == "adaptive":
            # Never more than as many again: a video of cuts alone costs at most double.
            spare = steady if most is None else min(steady, most - steady)
            chosen = _into_shots(pts_ms, chosen, cuts, spare)
        times = [0.0, *(pts_ms[i] - pts_ms[0] for i in chosen), end_ms]
        return Plan(
            chosen=chosen,
            looks=PlannedLooks(budget=most, steady=steady, shots=len(chosen) - steady),
            longest_unlooked_ms=round(max(b - a for a, b in pairwise(times))),
        )


def parse_policy(text: str) -> SamplingPolicy:
    """Read the name of a policy. Raises ConfigError."""
    kind, _, value = text.strip().partition(":")
    try:
        if kind == "uniform" and 1 <= int(value) <= 1_000_000:
            return SamplingPolicy("uniform", int(value))
        if kind == "fps" and 0.0 < float(value) <= 1000.0:
            return SamplingPolicy("fps", float(value))
        if kind == "every" and 0.001 <= float(value) <= 86_400.0:
            return SamplingPolicy("every", float(value))
    except ValueError as error:
        raise ConfigError(f"sampling policy {text!r}: {value!r} is no number.", fix=_FIX) from error
    if kind == "keyframes" and not value:
        return SamplingPolicy("keyframes")
    if kind == "all" and not value:
        return SamplingPolicy("all")
    if kind == "adaptive" and not value:
        return SamplingPolicy("adaptive")
    raise ConfigError(f"sampling policy {text!r} is not known or out of range.", fix=_FIX)


def looks_allowed(most: int | None, per_second: float | None, end_ms: float) -> int | None:
    """The limit on looks for a video of this length; None where there is none.

    >>> looks_allowed(8000, 8.0, 137_000.0), looks_allowed(8000, 8.0, 4000.0), looks_allowed(9, None, 1.0)
    (1096, 512, 9)
    """
    if per_second is None:
        return most
    by_length = max(_ALWAYS_LOOKS, math.ceil(per_second * end_ms / 1000.0))
    return by_length if most is None else min(most, by_length)


def evenly(pts_ms: Sequence[float], count: int) -> list[int]:
    """`count` frames, or all there are: the first, the last, and those nearest to even times between.

    >>> evenly([0, 2000, 4000, 4010, 4020, 4030], 3)
    [0, 1, 5]
    """
    total = len(pts_ms)
    if count >= total:
        return list(range(total))
    if count == 1:
        return [_nearest(pts_ms, (pts_ms[0] + pts_ms[-1]) / 2)]
    first, last = pts_ms[0], pts_ms[-1]
    chosen: list[int] = []
    for number in range(count):
        wanted = _nearest(pts_ms, first + (last - first) * number / (count - 1))
        lowest = chosen[-1] + 1 if chosen else 0
        # Room is left for those still to come: as many frames as were asked for, whatever the clock.
        chosen.append(min(max(wanted, lowest), total - count + number))
    return chosen


def _nearest(pts_ms: Sequence[float], at_ms: float) -> int:
    """The later of two that are as near: half a microsecond is rounding, as times come from floats."""
    after = bisect_left(pts_ms, at_ms - 5e-4)
    if after == 0:
        return 0
    if after == len(pts_ms):
        return after - 1
    return after if pts_ms[after] - at_ms <= at_ms - pts_ms[after - 1] + 1e-3 else after - 1


def _steady(pts_ms: Sequence[float]) -> int:
    seconds = (pts_ms[-1] - pts_ms[0]) / 1000.0 if pts_ms else 0.0
    return max(LEAST_LOOKS, math.ceil(seconds * LOOKS_PER_SECOND) + 1)


def _into_shots(
    pts_ms: Sequence[float], chosen: list[int], cuts: Sequence[int], spare: int
) -> list[int]:
    """`chosen`, with shots that have too few looks filled up, those with the fewest first."""
    starts = sorted({0, *cuts})
    shots = list(zip(starts, [*starts[1:], len(pts_ms)], strict=True))
    looks = sorted(chosen)
    have = {shot: bisect_left(looks, shot[1]) - bisect_left(looks, shot[0]) for shot in shots}
    taken = set(chosen)
    for shot in sorted(shots, key=lambda shot: (have[shot], shot)):
        lacking = min(SHOT_LOOKS - have[shot], spare)
        if lacking <= 0:
            continue
        free = [index for index in range(*shot) if index not in taken]
        added = [free[i] for i in evenly([pts_ms[i] for i in free], lacking)] if free else []
        taken.update(added)
        spare -= len(added)
    return sorted(taken)


def _every(pts_ms: Sequence[float], step_ms: float) -> list[int]:
    """The first frame at or after each multiple of the step; a gap yields no frame twice."""
    chosen: list[int] = []
    due = 0.0
    for index, pts in enumerate(pts_ms):
        # Times come from rationals through floats: half a microsecond is rounding, not lateness.
        if pts + 5e-4 >= due:
            chosen.append(index)
            due = (int((pts + 5e-4) / step_ms) + 1) * step_ms
    return chosen
