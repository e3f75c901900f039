"""One face through a video."""

from typing import Literal

from unmask.frozen import Frozen
from unmask.messages import Reason
from unmask.verdict.segments import Window
from unmask.verdict.values import Kind, NormalisedBox, Probability


class FramePoint(Frozen):
    """One sampled face in a track's timeline."""

    frame_index: int
    pts_ms: int
    p: Probability
    """On the scale of a window's p: what a window of such faces alone would have. One face proves
    little: read it beside its window."""
    box: NormalisedBox | None = None
    """Where the face is, in the displayed frame; None in verdicts made before it was kept."""


class ConditionObeyed(Frozen):
    """What the weights were measured for, and what it changed on one track."""

    name: str
    """For example "face_px=96-192": faces from 96 to under 192 px."""
    p_before: Probability
    """p_fake of the track without it."""


class TrackPicture(Frozen):
    """One whole frame in which the track's face is seen."""

    frame_index: int
    pts_ms: int
    url: str
    """JPEG of the frame, reduced, relative to this verdict's own address."""
    box: NormalisedBox
    """The face in it."""


class TrackVerdict(Frozen):
    """One face followed without a gap that could hide another. `id` 1 is the first face seen."""

    id: int
    person: int | None = None
    """Tracks of one number are one person, as far as looks can tell; None where it was not asked."""
    turned_deg: Literal[0, 90, 180, 270] = 0
    """How far its crops were turned clockwise to stand upright."""
    status: Literal["judged", "insufficient"]
    """insufficient: too few or too small faces to say anything."""
    p_fake: Probability | None
    """The higher of its worst window, corrected for length, and the whole track."""
    kind: Kind | None = None
    """The kind of forgery that p_fake speaks of, the likelier. No finding of its own. None where no
    plugin looks for one kind only."""
    segments_ms: tuple[tuple[int, int], ...]
    """When it was on screen."""
    faces: int
    median_face_px: float
    timeline: tuple[FramePoint, ...]
    windows: tuple[Window, ...] = ()
    picture: TrackPicture | None = None
    reason: Reason | None = None
    condition: ConditionObeyed | None = None
    """None where the policy does not ask, or the weights were not measured for such faces."""
