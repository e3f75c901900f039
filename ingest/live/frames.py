"""What a stream yields: sampled frames, and changes of its state."""

from dataclasses import dataclass
from enum import StrEnum

from unmask.arrays import Images


class StreamState(StrEnum):
    """How a stream stands."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    """Connected, and nothing comes."""
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class LiveFrame:
    """One sampled frame."""

    index: int
    """How many frames were shown before it."""
    pts_ms: int
    """Stream time since the first frame; over a reconnect it goes on with the wall clock."""
    arrived_ms: int
    """Since the stream was taken up, on this machine's clock, when its data came in."""
    rgb: Images


@dataclass(frozen=True, kw_only=True)
class StateEvent:
    """The stream's state has changed."""

    state: StreamState
    at_ms: int
    """Since the stream was taken up."""
    reason: str = ""
    """Why, in words that hold no secret."""
