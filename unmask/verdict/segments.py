"""Where in the video it looks forged: windows of a track, and the segments that windows make."""

from typing import Literal

from pydantic import Field

from unmask.frozen import Frozen
from unmask.verdict.values import Kind, Probability


class Window(Frozen):
    """A few seconds of one track, judged by themselves."""

    start_ms: int
    end_ms: int
    """From the first to the last face in it."""
    faces: int
    """Scored faces in it."""
    p: Probability
    """Calibrated as if this window were all of the video; `correction` turns it into p_fake."""
    kind: Kind | None = None
    short: bool = False
    """Of the shorter of the two lengths that windows have."""


class Segment(Frozen):
    """A stretch that reaches the policy's threshold for suspicious."""

    start_ms: int
    end_ms: int
    track_id: int
    person: int | None = None
    """Of the track, where persons are told apart."""
    kind: Kind | None = None
    """What p_fake speaks of, the likelier kind of forgery; None where no plugin is a specialist."""
    p_fake: Probability
    """Of the worst window in it, corrected for how many were looked at."""
    windows: int
    """How many windows it joins; 0 where only the whole track reaches the threshold."""


class LengthCorrection(Frozen):
    """The more windows are looked at, the more one must show: named, versioned."""

    name: str
    version: str
    people: int = 1
    """On those tracks, where persons are told apart; else as many as tracks."""
    tracks: int
    """Tracks judged."""
    windows: int
    """Windows judged, over all tracks."""
    track_shift: float = Field(ge=0.0)
    """Taken off the logit of a whole track's p."""
    shift: float = Field(ge=0.0)
    """Taken off the logit of every window's p."""


class PluginVote(Frozen):
    """What one plugin said of the stretch that decides."""

    plugin: str
    p: Probability
    """Calibrated."""
    weight: float
    finds: Literal["any", "pasted", "generated"]


class Deciding(Frozen):
    """The stretch that p_fake of the video comes from, and how. Each step is there to be redone."""

    track_id: int
    scope: Literal["window", "track"]
    start_ms: int
    end_ms: int
    votes: tuple[PluginVote, ...]
    kind: Kind | None
    combined: Probability
    """Votes of the likelier kind, averaged in logits by weight."""
    calibrated: Probability
    """After the calibration of these plugins together, where there is one."""
    of_length: Probability | None = None
    """After the calibration for short windows, where this is one and that was fitted."""
    conditioned: Probability | None = None
    """After the policy's `conditions`, where they moved it."""
    p_fake: Probability
    """After the correction for length."""
