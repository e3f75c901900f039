"""From an open file to sampled RGB frames, with PyAV. Runs inside the sandbox (sandbox/child.py).

Two passes. The first only demuxes: it lists every frame's timestamp without decoding one, so that
the sampling policy chooses among all frames of the whole file. The second decodes what was chosen,
jumping to the key frame before the next target and passing over pictures that nothing builds on,
wherever that skips work: the frames are the same (taking.py). Containers that do not tell true
timestamps per frame are decoded twice instead: once to list, once to take.

Frames come out as a player shows them: the stream that it picks (video_streams.py), whole frames
(deinterlace.py), its brightness (hdr.py), square pixels, turned and mirrored as told (upright.py).
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ingest.decoding.container import (
    BROADCAST,
    DAMAGED,
    Limits,
    check_animation,
    check_length,
    open_media,
)
from ingest.decoding.display.deinterlace import deinterlaced, has_fields, with_neighbours
from ingest.decoding.display.hdr import is_hdr
from ingest.decoding.display.shown_picture import Canvas
from ingest.decoding.events import Finished, Frame, Opened
from ingest.decoding.frame_times import Timeline, decoded_timeline, told_timeline
from ingest.decoding.sampling import Plan, SamplingPolicy, looks_allowed
from ingest.decoding.shots import cuts_of
from ingest.decoding.taking import Taking
from ingest.decoding.video_streams import listed_streams
from unmask.errors import DecodeFailed, ReasonCode

__all__ = ["Finished", "Frame", "Limits", "Opened", "decode"]

#: More cuts than a film has; what follows the last is one shot.
_MAX_CUTS = 4000
#: What a header promises beyond the last frame must be worth so many frames to be missed.
_MISSED_FRAMES = 2


def decode(
    file: BinaryIO,
    container: str,
    policy: SamplingPolicy,
    limits: Limits,
    *,
    stream: int | None = None,
    seek: bool = True,
) -> Iterator[Opened | Frame | Finished]:
    """Yield Opened, the chosen frames in order, and Finished.

    `file`: seekable, at any position. `stream`: number of the video stream; None takes the one that
    players show. `seek=False` decodes everything up to the last chosen frame; the frames are the
    same. Raises MediaRefused for what is over the limits or holds no video, and DecodeFailed where
    nothing can be decoded.
    """
    timeline = _timeline(file, container, limits, stream)
    media, video = open_media(file, container, limits, stream)
    with media:
        times_ms = timeline.milliseconds()
        check_length(times_ms[-1] / 1000.0, limits)
        cuts = cuts_of(times_ms, timeline.keyframes, timeline.packet_bytes)[:_MAX_CUTS]
        end_ms = timeline.end_ms(video.average_rate)
        most = looks_allowed(limits.max_looks, limits.looks_per_second, end_ms)
        plan = policy.plan(times_ms, timeline.keyframes, end_ms=end_ms, cuts=cuts, most=most)
        chosen = plan.chosen
        fields = timeline.interlaced or has_fields(video.codec_context.field_order)
        needed = with_neighbours(chosen, len(times_ms)) if fields else chosen
        taking = Taking(media, video, timeline, needed, seek)
        frames = deinterlaced(taking.frames(), chosen) if fields else taking.frames()
        canvas: Canvas | None = None
        delivered = 0
        for index, frame in frames:
            if canvas is None:
                canvas = Canvas.of(video, frame, timeline.sizes, limits.max_pixels)
                yield dataclasses.replace(
                    _Describing(media, video, container, timeline).opened(canvas, frame, plan),
                    cuts_ms=tuple(round(times_ms[cut]) for cut in cuts),
                    deinterlaced=taking.interlaced,
                )
            yield Frame(
                index=index, pts_ms=round(times_ms[index]), rgb=canvas.picture(video, frame)
            )
            delivered += 1
        if canvas is None:
            raise DecodeFailed(
                f"none of the {len(chosen)} frames chosen can be decoded.",
                fix=DAMAGED if chosen else "Sample with adaptive instead.",
            )
        tally = taking.tally
        yield Finished(decoded=tally.decoded, delivered=delivered, corrupt_packets=tally.corrupt)


def _timeline(file: BinaryIO, container: str, limits: Limits, number: int | None) -> Timeline:
    media, video = open_media(file, container, limits, number)
    with media:
        timeline = told_timeline(media, video, container, limits)
        size = video.codec_context.width * video.codec_context.height
    if timeline is not None:
        check_animation(container, len(timeline.pts), size, limits)
    else:
        media, video = open_media(file, container, limits, number)
        with media:
            timeline = decoded_timeline(media, video, container, limits)
    if not timeline.pts:
        raise DecodeFailed(
            "no frame of the video can be read: the file is cut off or damaged.",
            code=ReasonCode.TRUNCATED,
            fix=DAMAGED,
        )
    return timeline


@dataclass(frozen=True)
class _Describing:
    """What there is to say of a video before its first frame."""

    media: InputContainer
    stream: VideoStream
    container: str
    timeline: Timeline

    def opened(self, canvas: Canvas, first: VideoFrame, plan: Plan) -> Opened:
        rate = self.stream.average_rate
        end_ms = self.timeline.end_ms(rate)
        return Opened(
            codec=self.stream.codec.name,
            width=canvas.width,
            height=canvas.height,
            rotation_deg=canvas.turn.rotation_deg,
            duration_ms=round(end_ms),
            frame_rate=round(float(rate), 3) if rate else None,
            frames=len(self.timeline.pts),
            sampled=len(plan.chosen),
            missing=self._missing(end_ms),
            looks_budget=plan.looks.budget,
            looks_steady=plan.looks.steady,
            looks_shots=plan.looks.shots,
            longest_unlooked_ms=plan.longest_unlooked_ms,
            offset_ms=self._offset_ms(),
            stream=self.stream.index,
            streams=listed_streams(self.media, self.stream),
            joints=self.timeline.joints,
            sizes=self.timeline.sizes if len(self.timeline.sizes) > 1 else (),
            tone_mapped=is_hdr(first),
        )

    def _missing(self, end_ms: float) -> int:
        """Frames short of the header's number, where the pictures also end before their time."""
        promised = self.stream.frames - self.timeline.cut_out
        short = max(0, promised - len(self.timeline.pts))
        if not short or self.stream.duration is None:
            return short
        promised_ms = float(self.stream.duration * self.timeline.base * 1000)
        usual_ms = promised_ms / max(1, promised)
        return short if promised_ms - end_ms > _MISSED_FRAMES * usual_ms else 0

    def _offset_ms(self) -> int:
        """Broadcast clocks start anywhere: a player counts from where the first of its streams does."""
        first = self.timeline.pts[0] * self.timeline.base
        start_s = 0.0
        if self.container in BROADCAST and self.media.start_time is not None:
            start_s = self.media.start_time / 1_000_000
        return max(0, round((float(first) - start_s) * 1000))
