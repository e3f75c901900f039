"""Which frames of a video are looked at: uniform:N, fps:F, keyframes or all. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from unmask.errors import ConfigError

_FIX = "Name uniform:N, fps:F, keyframes or all, for example uniform:32."


@dataclass(frozen=True)
class SamplingPolicy:
    """A policy as parsed by `parse_policy`."""

    kind: Literal["uniform", "fps", "keyframes", "all"]
    value: float = 0.0
    """uniform: number of frames; fps: frames per second."""

    def choose(self, pts_ms: Sequence[float], keyframes: Sequence[bool]) -> list[int]:
        """Indices of the chosen frames, ascending and distinct.

        `pts_ms`: presentation times in order, ms. `keyframes`: same length.

        >>> parse_policy("uniform:3").choose([0, 40, 80, 120, 160], [True] + [False] * 4)
        [0, 2, 4]
        >>> parse_policy("fps:10").choose([0, 40, 80, 120, 160], [True] + [False] * 4)
        [0, 3]
        """
        total = len(pts_ms)
        if self.kind == "uniform":
            return _linspace(total, int(self.value))
        if self.kind == "fps":
            return _every(pts_ms, 1000.0 / self.value)
        if self.kind == "keyframes":
            return [index for index, key in enumerate(keyframes) if key]
        return list(range(total))


def parse_policy(text: str) -> SamplingPolicy:
    """Read `uniform:N`, `fps:F`, `keyframes` or `all`. Raises ConfigError."""
    kind, _, value = text.strip().partition(":")
    try:
        if kind == "uniform" and 1 <= int(value) <= 1_000_000:
            return SamplingPolicy("uniform", int(value))
        if kind == "fps" and 0.0 < float(value) <= 1000.0:
            return SamplingPolicy("fps", float(value))
    except ValueError as error:
        raise ConfigError(f"sampling policy {text!r}: {value!r} is no number.", fix=_FIX) from error
    if kind == "keyframes" and not value:
        return SamplingPolicy("keyframes")
    if kind == "all" and not value:
        return SamplingPolicy("all")
    raise ConfigError(f"sampling policy {text!r} is not known or out of range.", fix=_FIX)


def _linspace(total: int, count: int) -> list[int]:
    """First, last and evenly between, in integer arithmetic: the same on every machine."""
    if count >= total:
        return list(range(total))
    if count == 1:
        return [total // 2]
    gaps = count - 1
    return [(i * (total - 1) + gaps // 2) // gaps for i in range(count)]


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
