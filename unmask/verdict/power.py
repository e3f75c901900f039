"""What a verdict of these weights is worth: measured once for the weights, quoted in each verdict."""

from typing import Literal

from pydantic import Field

from unmask.frozen import Frozen
from unmask.verdict.values import Probability


class KindFound(Frozen):
    """The share of forgeries of one kind that these weights find, by tools they never saw."""

    kind: str
    """For example "swap", "lipsync", "reenact", "portrait"."""
    share: Probability
    """Of `clips`, how many reach the threshold."""
    low: Probability
    """Ends of the 95 % interval."""
    high: Probability
    clips: int = Field(ge=1)


class FalseAlarms(Frozen):
    """The share of real videos of unseen people that reach the threshold."""

    share: Probability
    low: Probability
    high: Probability
    clips: int = Field(ge=1)


class Power(Frozen):
    """How much of what is unseen these weights find, and how often they accuse the innocent."""

    threshold: Literal["suspicious_at", "fake_at"]
    """Which of the policy's two thresholds the shares are measured at."""
    found: tuple[KindFound, ...]
    false_alarms: FalseAlarms | None
    source: str
    """What it was measured on, in a sentence that can be checked."""
