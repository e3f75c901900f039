"""Every frame of a video with its time, before one is chosen."""

from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.video.stream import VideoStream

from ingest.decoding.container import Limits, Tally, check_count, frames_of, packets

#: One packet is one shown frame with its own timestamp in these, so packets can be believed.
_TOLD_BY = {"mov", "matroska", "flv", "gif"}
#: VP8 may hide frames in packets of their own, which look like any other from outside.
_UNTOLD_CODECS = {"vp8"}


@dataclass(frozen=True)
class Timeline:
    """Presentation order. All lists have one element per frame."""

    pts: list[int]
    """In stream time base, strictly ascending."""
    keyframes: list[bool]
    by_time: bool
    """True where a decoded frame is recognised by its timestamp; else by its number."""
    packet_bytes: tuple[int, ...] = ()
    """Empty where frames were counted by decoding them: packets need not come in their order."""

    def milliseconds(self, base: Fraction) -> list[float]:
        """Times from the first frame on."""
        return [float((pts - self.pts[0]) * base * 1000) for pts in self.pts]


def told_timeline(
    media: InputContainer, stream: VideoStream, container: str, limits: Limits
) -> Timeline | None:
    """From packets alone, nothing decoded. None where their timestamps cannot be relied on."""
    if container not in _TOLD_BY or stream.codec.name in _UNTOLD_CODECS:
        return None
    listed: list[tuple[int, bool, int]] = []
    for packet in packets(media, stream):
        # Edit lists cut frames that are there to be decoded but never shown.
        if packet.size == 0 or packet.is_discard:
            continue
        if packet.pts is None:
            return None
        listed.append((packet.pts, packet.is_keyframe, packet.size))
        check_count(len(listed), limits)
    listed.sort()
    pts = [told for told, *_ in listed]
    if len(set(pts)) != len(pts):
        return None
    return Timeline(
        pts, [key for _, key, _ in listed], by_time=True, packet_bytes=tuple(n for *_, n in listed)
    )


def decoded_timeline(media: InputContainer, stream: VideoStream, limits: Limits) -> Timeline:
    """By decoding everything and keeping the times: for containers that tell none, or tell them wrong."""
    pts: list[int] = []
    keyframes: list[bool] = []
    base = stream.time_base or Fraction(1, 1000)
    step = max(1, round(1 / (float(stream.guessed_rate or 25) * float(base))))
    for packet in packets(media, stream):
        for frame in frames_of(packet, Tally()):
            told = frame.pts if frame.pts is not None else frame.dts
            # Without a time of its own, or with one that runs backwards, a frame follows the last.
            if told is None or (pts and told <= pts[-1]):
                told = pts[-1] + step if pts else 0
            pts.append(told)
            keyframes.append(bool(frame.key_frame))
            check_count(len(pts), limits)
    return Timeline(pts, keyframes, by_time=False)
