"""Every frame of a video with its time, before one is chosen."""

from dataclasses import dataclass, field
from fractions import Fraction

from av.container import InputContainer
from av.video.stream import VideoStream

from ingest.decoding.container import (
    BROADCAST,
    Limits,
    Tally,
    check_count,
    check_length,
    frames_of,
    packets,
)
from ingest.decoding.frame_clock import FrameClock

#: One packet is one shown frame with its own timestamp in these, so packets can be believed.
_TOLD_BY = {"mov", "matroska", "flv", "gif", "apng"}
#: VP8 may hide frames in packets of their own, which look like any other from outside.
_UNTOLD_CODECS = {"vp8"}
_MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Presentation order. The lists have one element per frame."""

    pts: list[int]
    """In stream time base, ascending; frames that are told one time share it."""
    keyframes: list[bool]
    by_time: bool
    """True where a decoded frame is recognised by its timestamp; else by its number."""
    base: Fraction
    """Seconds of one tick."""
    packet_bytes: tuple[int, ...] = ()
    """Empty where frames were counted by decoding them: packets need not come in their order."""
    last_ticks: int = 0
    """How long the last frame is shown; 0 where nobody says."""
    joints: int = 0
    """How often the clock was set anew."""
    cut_out: int = 0
    """Packets that hold no frame to show: cut by an edit list, or a repeat of the frame before."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Every size that a frame has as coded, in order of appearance; empty where none was decoded."""
    interlaced: bool = False
    """Whether a frame says so; False where none was decoded."""

    def milliseconds(self) -> list[float]:
        """Times from the first frame on."""
        return [float((pts - self.pts[0]) * self.base * 1000) for pts in self.pts]

    def end_ms(self, rate: Fraction | None) -> float:
        """When the last frame has been shown, from the first frame on."""
        last = self.last_ticks or (self.pts[-1] - self.pts[-2] if len(self.pts) > 1 else 0)
        usual_ms = 1000.0 / float(rate or 25)
        return float((self.pts[-1] - self.pts[0] + last) * self.base * 1000) + (
            0.0 if last else usual_ms
        )

    @property
    def repeats(self) -> bool:
        """Whether frames share a time."""
        return any(one == other for one, other in zip(self.pts, self.pts[1:], strict=False))


def told_timeline(
    media: InputContainer, stream: VideoStream, container: str, limits: Limits
) -> Timeline | None:
    """From packets alone, nothing decoded. None where their timestamps cannot be relied on."""
    if container not in _TOLD_BY or stream.codec.name in _UNTOLD_CODECS:
        return None
    listed: list[tuple[int, int, bool, int]] = []
    cut_out = 0
    for packet in packets(media, stream):
        if packet.size == 0 and packet.pts is None:
            continue  # the one that flushes
        # Edit lists cut frames that are there to be decoded but never shown.
        if packet.size == 0 or packet.is_discard:
            cut_out += 1
            continue
        if packet.pts is None:
            return None
        listed.append((packet.pts, packet.duration or 0, packet.is_keyframe, packet.size))
        check_count(len(listed), limits)
    # By time alone: frames that share one stay in the order of the file.
    listed.sort(key=lambda told: told[0])
    return Timeline(
        pts=[pts for pts, *_ in listed],
        keyframes=[key for _, _, key, _ in listed],
        by_time=True,
        base=stream.time_base or _MILLISECOND,
        packet_bytes=tuple(size for *_, size in listed),
        last_ticks=listed[-1][1] if listed else 0,
        cut_out=cut_out,
    )


@dataclass
class _Decoded:
    pts: list[int] = field(default_factory=list)
    keyframes: list[bool] = field(default_factory=list)
    sizes: dict[tuple[int, int], None] = field(default_factory=dict)
    last_ticks: int = 0
    interlaced: bool = False


def decoded_timeline(
    media: InputContainer, stream: VideoStream, container: str, limits: Limits
) -> Timeline:
    """By decoding everything and keeping the times: for containers that tell none, or tell them wrong.

    Raises MediaRefused as soon as the limits of length or number are passed.
    """
    found = _Decoded()
    base = stream.time_base or _MILLISECOND
    frame_ticks = round(1 / (float(stream.guessed_rate or 25) * float(base)))
    clock = FrameClock(frame_ticks, float(base), leaps=container in BROADCAST)
    cut_out = 0
    for packet in packets(media, stream):
        cut_out += packet.is_discard or (packet.size == 0 and packet.pts is not None)
        for frame in frames_of(packet, Tally()):
            found.pts.append(clock.at(frame.pts if frame.pts is not None else frame.dts))
            found.keyframes.append(bool(frame.key_frame))
            found.sizes[frame.width, frame.height] = None
            found.last_ticks = frame.duration or 0
            found.interlaced |= frame.interlaced_frame
            check_count(len(found.pts), limits)
            check_length(float((found.pts[-1] - found.pts[0]) * base), limits)
    return Timeline(
        pts=found.pts,
        keyframes=found.keyframes,
        by_time=False,
        base=base,
        last_ticks=found.last_ticks,
        joints=clock.joints,
        cut_out=cut_out,
        sizes=tuple(found.sizes),
        interlaced=found.interlaced,
    )
