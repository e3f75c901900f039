"""From an open file to sampled RGB frames, with PyAV. Runs inside the sandbox (sandbox.py).

Two passes. The first only demuxes: it lists every frame's timestamp without decoding one, so that
the sampling policy chooses among all frames of the whole file. The second decodes what was chosen,
jumping to the key frame before the next target and passing over pictures that nothing builds on,
wherever that skips work: the frames are the same. Containers that do not tell true timestamps per
frame are decoded twice instead: once to list, once to take.

Frames come out as a player shows them (upright.py): square pixels, turned and mirrored as told.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ingest.decoding.container import (
    DAMAGED,
    Limits,
    Tally,
    check_length,
    frames_of,
    open_media,
    packets,
)
from ingest.decoding.frame_times import Timeline, decoded_timeline, told_timeline
from ingest.decoding.sampling import Plan, SamplingPolicy
from ingest.decoding.shots import cuts_of
from ingest.decoding.upright import Turn, square_size, turn_of_frame
from unmask.arrays import Images
from unmask.errors import DecodeFailed, ReasonCode

__all__ = ["Finished", "Frame", "Limits", "Opened", "decode"]

#: Codecs that show a key frame's followers the same whether or not decoding began at that key frame.
_SEEKABLE = {"h264", "hevc", "vp9", "av1", "mjpeg", "prores"}
#: Codecs that say which pictures no other is built on, and can leave those out without a trace.
_SPARING = {"h264", "hevc"}
#: More cuts than a film has; what follows the last is one shot.
_MAX_CUTS = 4000
#: A jump costs the decoder about so many frames' time (flush, seek, refill).
_JUMP_COST_FRAMES = 8


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


def decode(
    file: BinaryIO, container: str, policy: SamplingPolicy, limits: Limits, *, seek: bool = True
) -> Iterator[Opened | Frame | Finished]:
    """Yield Opened, the chosen frames in order, and Finished.

    `file`: seekable, at any position. `seek=False` decodes everything up to the last chosen frame;
    the frames are the same. Raises MediaRefused for what is over the limits or holds no video, and
    DecodeFailed where nothing can be decoded.
    """
    timeline = _timeline(file, container, limits)
    with open_media(file, container, limits) as media:
        stream = media.streams.video[0]
        times_ms = timeline.milliseconds(stream.time_base or Fraction(1, 1000))
        check_length(times_ms[-1] / 1000.0, limits)
        cuts = cuts_of(times_ms, timeline.keyframes, timeline.packet_bytes)[:_MAX_CUTS]
        end_ms = _end_ms(stream, times_ms)
        plan = policy.plan(
            times_ms, timeline.keyframes, end_ms=end_ms, cuts=cuts, most=limits.max_looks
        )
        chosen = plan.chosen
        taking = _Taking(media, stream, timeline, chosen, seek)
        shape: _Shape | None = None
        delivered = 0
        for index, frame in taking.frames():
            if shape is None:
                shape = _Shape.of(stream, frame, limits)
                yield _describe(stream, shape, times_ms, plan, cuts)
            yield Frame(index=index, pts_ms=round(times_ms[index]), rgb=shape.shown(frame))
            delivered += 1
        if shape is None:
            raise DecodeFailed(
                f"none of the {len(chosen)} frames chosen can be decoded.",
                fix=DAMAGED if chosen else "Sample with adaptive instead.",
            )
        tally = taking.tally
        yield Finished(decoded=tally.decoded, delivered=delivered, corrupt_packets=tally.corrupt)


def _timeline(file: BinaryIO, container: str, limits: Limits) -> Timeline:
    with open_media(file, container, limits) as media:
        timeline = told_timeline(media, media.streams.video[0], container, limits)
    if timeline is None:
        with open_media(file, container, limits) as media:
            timeline = decoded_timeline(media, media.streams.video[0], limits)
    if not timeline.pts:
        raise DecodeFailed(
            "no frame of the video can be read: the file is cut off or damaged.",
            code=ReasonCode.TRUNCATED,
            fix=DAMAGED,
        )
    return timeline


class _Taking:
    """The second pass."""

    def __init__(
        self,
        media: InputContainer,
        stream: VideoStream,
        timeline: Timeline,
        chosen: list[int],
        seek: bool,
    ) -> None:
        self.tally = Tally()
        self._media = media
        self._stream = stream
        self._timeline = timeline
        self._chosen = chosen
        self._may_seek = seek and timeline.by_time and stream.codec.name in _SEEKABLE
        self._may_spare = seek and timeline.by_time and stream.codec.name in _SPARING
        # Number of the last key frame at or before each frame.
        self._key_before = list(
            itertools.accumulate((i if key else 0 for i, key in enumerate(timeline.keyframes)), max)
        )

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """The chosen frames with their numbers; damaged ones are left out."""
        wanted = set(self._chosen)
        place = {pts: i for i, pts in enumerate(self._timeline.pts)}
        queue = iter(self._chosen)
        target = next(queue, None)
        position = -1
        stream = packets(self._media, self._stream)
        while target is not None:
            if self._worth_a_jump(target, position):
                stream = self._jump(self._key_before[target])
                # One jump a target: whatever the decoder does next, it is at that key frame.
                position = max(position, self._key_before[target] - 1)
            for packet in stream:
                self._spare(packet, wanted, place)
                for frame in frames_of(packet, self.tally):
                    if self._timeline.by_time:
                        index = place.get(frame.pts, -1) if frame.pts is not None else -1
                    else:
                        index = self.tally.decoded - 1
                    # Damage may also upset the decoder's order: what comes late is left out.
                    intact = index > position and not (self.tally.broken or frame.is_corrupt)
                    position = max(position, index)
                    if intact and index in wanted:
                        yield index, frame
                while target is not None and target <= position:
                    target = next(queue, None)
                if target is None or self._worth_a_jump(target, position):
                    break
            else:
                return

    def _spare(
        self, packet: "Packet[VideoStream]", wanted: set[int], place: dict[int, int]
    ) -> None:
        """Let the decoder pass over pictures that nothing builds on and nobody has chosen."""
        if self._may_spare:
            index = place.get(packet.pts, -1) if packet.pts is not None else -1
            spare = index >= 0 and index not in wanted
            self._stream.codec_context.skip_frame = "NONREF" if spare else "DEFAULT"

    def _worth_a_jump(self, target: int, position: int) -> bool:
        return self._may_seek and self._key_before[target] - position > _JUMP_COST_FRAMES

    def _jump(self, key: int) -> "Iterator[Packet[VideoStream]]":
        """Packets from key frame `key` on; from the very start where the file's index leads astray."""
        pts = self._timeline.pts[key]
        self._media.seek(pts, stream=self._stream, backward=True)
        stream = packets(self._media, self._stream)
        first = next(stream, None)
        if first is not None and first.pts is not None and first.pts <= pts:
            return itertools.chain([first], stream)
        self._may_seek = False
        self._media.seek(0)
        return packets(self._media, self._stream)


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """What the first frame says of size and turn; faces are followed in one coordinate system."""

    width: int
    """In square pixels, not yet turned."""
    height: int
    turn: Turn

    @classmethod
    def of(cls, stream: VideoStream, frame: VideoFrame, limits: Limits) -> "_Shape":
        width, height = square_size(
            frame.width, frame.height, stream.sample_aspect_ratio, limits.max_pixels
        )
        return cls(width=width, height=height, turn=turn_of_frame(frame))

    def shown(self, frame: VideoFrame) -> Images:
        # Either its pixels are not square, or the stream changed its size half-way.
        if (frame.width, frame.height) != (self.width, self.height):
            frame = frame.reformat(
                width=self.width, height=self.height, format="rgb24", interpolation="BICUBIC"
            )
        rgb: Images = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        return self.turn.shown(rgb)


def _end_ms(stream: VideoStream, times_ms: list[float]) -> float:
    """The last frame is shown as long as the one before it."""
    rate = float(stream.average_rate or 25)
    return times_ms[-1] + (times_ms[-1] - times_ms[-2] if len(times_ms) > 1 else 1000.0 / rate)


def _describe(
    stream: VideoStream, shape: _Shape, times_ms: list[float], plan: Plan, cuts: tuple[int, ...]
) -> Opened:
    width, height = shape.width, shape.height
    if shape.turn.swapped:
        width, height = height, width
    rate = stream.average_rate
    return Opened(
        codec=stream.codec.name,
        width=width,
        height=height,
        rotation_deg=shape.turn.rotation_deg,
        duration_ms=round(_end_ms(stream, times_ms)),
        frame_rate=round(float(rate), 3) if rate else None,
        frames=len(times_ms),
        sampled=len(plan.chosen),
        missing=max(0, stream.frames - len(times_ms)),
        looks_budget=plan.looks.budget,
        looks_steady=plan.looks.steady,
        looks_shots=plan.looks.shots,
        longest_unlooked_ms=plan.longest_unlooked_ms,
        cuts_ms=tuple(round(times_ms[cut]) for cut in cuts),
    )
