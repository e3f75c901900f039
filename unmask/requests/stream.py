"""What Unmask says of a live stream while it runs. When it ends, it has a verdict like any video.

Times are milliseconds of wall clock since the stream was taken up, unless they say stream time.
"""

from typing import Literal

from pydantic import Field

from unmask.frozen import Frozen
from unmask.messages import Reason
from unmask.verdict import VerdictLabel
from unmask.verdict.values import Kind, Named, Probability

StreamStateName = Literal["connecting", "live", "stalled", "reconnecting", "ended", "failed"]

#: From one look to the next, as often as a file is looked at.
EVERY_S = 0.333


class Accounted(Frozen):
    """What became of a stretch of wall clock. The parts add up to it, to the millisecond."""

    judged_ms: int = 0
    no_face_ms: int = 0
    too_small_ms: int = 0
    dropped_ms: dict[str, int] = Field(default_factory=dict)
    """By reason: too_slow (frames came faster than they could be looked at), stopped."""
    gap_ms: dict[str, int] = Field(default_factory=dict)
    """By reason: connecting, stalled, reconnecting, or live where frames came too thinly."""


class WindowFace(Frozen):
    """One face in one window. `track_id` is the same in every window that it is followed through."""

    track_id: int
    p_fake: Probability | None
    kind: Kind | None = None
    faces: int
    """Looks at it in this window."""


class Rolling(Frozen):
    """The verdict on the stream as it stands: quick to raise, slow to clear."""

    rule: Named
    label: VerdictLabel
    """inconclusive until a window could be judged."""
    since_ms: int
    """When the label came to be."""
    p_fake: Probability | None
    """Of the window that raised it; of the newest judged window where nothing has."""
    clears_at_ms: int | None = None
    """When it falls a step if nothing suspicious comes until then; None where it has nowhere to fall."""


class WindowReport(Frozen):
    """A few seconds of a stream, judged."""

    index: int
    start_ms: int
    end_ms: int
    started_at: str
    """Wall clock of `start_ms`, ISO 8601, UTC."""
    stream_start_ms: int | None
    """Stream time of the first look; None where there was none."""
    stream_end_ms: int | None
    program_at_ms: int | None = None
    """The source's own wall clock (EXT-X-PROGRAM-DATE-TIME) near its end, ms since the epoch."""
    label: VerdictLabel
    p_fake: Probability | None
    reasons: tuple[Reason, ...]
    faces: tuple[WindowFace, ...]
    accounted: Accounted
    rolling: Rolling
    latency_ms: int
    """From the arrival of its first look to this report."""


class StreamEvent(Frozen):
    """A change of state."""

    state: StreamStateName
    at_ms: int
    reason: str = ""


class StreamWanted(Frozen):
    """What a stream is to be watched by. The whole of it is a secret: addresses hold passwords."""

    address: str
    window_s: float = Field(default=5.0, ge=1.0, le=60.0)
    every_s: float = Field(default=EVERY_S, ge=0.04, le=10.0)
    drop: Literal["wait", "drop_oldest", "drop_newest", "adaptive"] = "drop_oldest"
    transport: Literal["tcp", "udp"] = "tcp"
    give_up_s: float = Field(default=60.0, ge=1.0, le=86400.0)
    plugins: tuple[str, ...] = ()
    policy: str | None = None
