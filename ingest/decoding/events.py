"""What a decode tells, in this order: Opened once, Frame for each that was chosen, Finished once.

A rendition tells Opened, Rendering now and then, and Rendered.
"""

from dataclasses import dataclass

from ingest.decoding.video_streams import StreamSeen
from unmask.arrays import Images


@dataclass(frozen=True, kw_only=True)
class Opened:
    """First word of a decode: what the video is and how many frames will be looked at."""

    codec: str
    width: int
    """As displayed. Pixels."""
    height: int
    rotation_deg: int
    """Clockwise: 0, 90, 180 or 270; a mirrored picture was then flipped left to right."""
    duration_ms: int
    frame_rate: float | None
    frames: int
    """In the whole video."""
    sampled: int
    missing: int
    """Frames the header promises that the file does not hold: it was cut off."""
    looks_budget: int | None = None
    """The most looks that were allowed."""
    looks_steady: int = 0
    """At even steps in time."""
    looks_shots: int = 0
    """More, in shots that had too few."""
    longest_unlooked_ms: int = 0
    """The longest stretch between two looks."""
    cuts_ms: tuple[int, ...] = ()
    """Where a new shot seems to begin."""
    offset_ms: int = 0
    """Time of the first frame on the file's own clock, as a player counts it."""
    stream: int = 0
    """Number of the video stream that was decoded."""
    streams: tuple[StreamSeen, ...] = ()
    """Every video stream, where there is more than one."""
    joints: int = 0
    """How often the file's clock was set anew."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Coded sizes in order of appearance, where the size changes in mid-stream and that is known."""
    deinterlaced: bool = False
    tone_mapped: bool = False


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One sampled frame."""

    index: int
    """0-based, in presentation order."""
    pts_ms: int
    """From the first frame, true presentation time."""
    rgb: Images
    """(height, width, 3) uint8, upright, in square pixels."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """Last word of a decode."""

    decoded: int
    """Frames the decoder produced."""
    delivered: int
    corrupt_packets: int


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """How far a rendition is, in frames."""

    done: int
    of: int


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A rendition is written."""

    frames: int
    start_ms: int
    """What its own time 0 is, on the video's clock."""
    end_ms: int
    """Time of its last frame, on the video's clock."""
    whole: bool
    """False where it ends early, at the limit of time or size."""
