"""From an open file to sampled RGB frames, with PyAV. Runs inside the sandbox (sandbox.py).

Two passes. The first only demuxes: it lists every frame's timestamp without decoding one, so that
the sampling policy chooses among all frames of the whole file. The second decodes what was chosen,
jumping to the key frame before the next target wherever that skips work. Containers that do not
tell true timestamps per frame are decoded twice instead: once to list, once to take.

Pixels are taken as coded: sample aspect ratio is not applied, rotation is.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO

import av
import av.container
import av.video.stream
import numpy as np
from av.video.frame import VideoFrame

from ingest.sampling import SamplingPolicy
from unmask.errors import DecodeFailed, MediaRefused, ReasonCode
from unmask.plugin import Images

#: FFmpeg's names of the demuxers that sources.sniff may pin.
DEMUXERS = {
    "mov": "mov",
    "matroska": "matroska",
    "mpegts": "mpegts",
    "avi": "avi",
    "mpeg": "mpeg",
    "gif": "gif",
    "flv": "flv",
    "ogg": "ogg",
}
#: One packet is one shown frame with its own timestamp in these, so the first pass can be believed.
_TOLD_TIMES = {"mov", "matroska", "flv", "gif"}
#: Codecs that show a key frame's followers the same whether or not decoding began at that key frame.
_SEEKABLE = {"h264", "hevc", "vp9", "av1", "mjpeg", "prores"}
#: A jump costs the decoder about so many frames' time (flush, seek, refill).
_JUMP_COST_FRAMES = 8
#: A demuxer that fails so often in a row is not going to recover.
_MAX_READ_ERRORS = 64
_DAMAGED = "Upload the file again, or repair it, for example: ffmpeg -i INPUT -c copy repaired.mp4."


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one video may cost, from the settings."""

    max_pixels: int
    max_seconds: float
    max_frames: int
    threads: int = 1
    """Decoder threads: one, because several videos side by side use two cores better."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """First word of a decode: what the video is and how many frames will be looked at."""

    codec: str
    width: int
    """As displayed. Pixels."""
    height: int
    rotation_deg: int
    """Clockwise: 0, 90, 180 or 270."""
    duration_ms: int | None
    frame_rate: float | None
    frames: int
    """In the whole video, as far as the container or a full decode tells."""
    sampled: int
    missing: int = 0
    """Frames the header promises that the file does not hold: it was cut off."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One sampled frame."""

    index: int
    """0-based, in presentation order."""
    pts_ms: int
    """From the first frame, true presentation time."""
    rgb: Images
    """(height, width, 3) uint8, upright."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """Last word of a decode."""

    decoded: int
    """Frames the decoder produced."""
    delivered: int
    corrupt_packets: int


@dataclass
class _Timeline:
    """Every frame of the video in presentation order."""

    pts: list[int]
    """In stream time base."""
    keyframes: list[bool]
    trusted: bool
    """True where a decoded frame can be recognised by its timestamp."""


@dataclass
class _Tally:
    decoded: int = 0
    corrupt: int = 0
    sizes: set[tuple[int, int]] = field(default_factory=set)


def decode(
    file: BinaryIO, container: str, policy: SamplingPolicy, limits: Limits, *, seek: bool = True
) -> Iterator[Opened | Frame | Finished]:
    """Yield Opened, the chosen frames in order, and Finished.

    `file`: seekable, at any position. `seek=False` decodes everything up to the last chosen frame;
    the frames are the same. Raises MediaRefused for what is over the limits or holds no video, and
    DecodeFailed where nothing can be decoded.
    """
    with _open(file, container, limits) as media:
        stream = media.streams.video[0]
        timeline = _timeline(media, stream, container, limits)
    tally = _Tally()
    if not timeline.trusted:
        with _open(file, container, limits) as media:
            timeline = _decoded_timeline(media, media.streams.video[0], limits)
    if not timeline.pts:
        raise DecodeFailed(
            "no frame of the video can be read: the file is cut off or damaged.",
            code=ReasonCode.TRUNCATED,
            fix=_DAMAGED,
        )
    with _open(file, container, limits) as media:
        stream = media.streams.video[0]
        base = stream.time_base or Fraction(1, 1000)
        start = timeline.pts[0]
        times = [float((pts - start) * base * 1000) for pts in timeline.pts]
        _check_length(times[-1] / 1000.0, limits)
        chosen = policy.choose(times, timeline.keyframes)
        if not chosen:
            raise DecodeFailed(
                "the sampling policy chooses no frame of this video.",
                fix="Sample with uniform:32 instead.",
            )
        if timeline.trusted:
            frames = _by_time(
                media, stream, timeline, chosen, tally, seek and stream.codec.name in _SEEKABLE
            )
        else:
            frames = _by_count(media, stream, chosen, tally)
        delivered = 0
        opened: Opened | None = None
        for index, frame in frames:
            if opened is None:
                opened = _describe(stream, frame, timeline, times, len(chosen))
                yield opened
            yield Frame(index=index, pts_ms=round(times[index]), rgb=_upright(frame, opened))
            delivered += 1
        if opened is None:
            raise DecodeFailed(
                "none of the chosen frames can be decoded: the video stream is damaged.",
                fix=_DAMAGED,
            )
        yield Finished(decoded=tally.decoded, delivered=delivered, corrupt_packets=tally.corrupt)


def _open(file: BinaryIO, container: str, limits: Limits) -> "av.container.InputContainer":
    """Open with the demuxer pinned and every other protocol shut. Raises for what is no video."""
    file.seek(0)
    try:
        media = av.open(
            file,
            format=DEMUXERS[container],
            # No demuxer may open a second file or an address, whatever the media asks for.
            options={"protocol_whitelist": "none", "max_pixels": str(limits.max_pixels)},
            metadata_errors="replace",
            buffer_size=1 << 18,
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise DecodeFailed(
            "the container cannot be opened: the file is cut off or damaged.",
            code=ReasonCode.TRUNCATED,
            fix=_DAMAGED,
        ) from error
    try:
        _check_header(media, limits)
    except BaseException:
        media.close()
        raise
    return media


def _check_header(media: "av.container.InputContainer", limits: Limits) -> None:
    streams = [
        s for s in media.streams.video if not s.disposition & av.stream.Disposition.attached_pic
    ]
    if not streams or streams[0].index != media.streams.video[0].index:
        raise MediaRefused(
            "the file holds no video stream, only sound or a cover picture.",
            code=ReasonCode.NO_VIDEO_STREAM,
            fix="Send a file with pictures that move.",
        )
    stream = streams[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.max_pixels:
        raise MediaRefused(
            f"frames of {width}x{height} pixels, the limit is {limits.max_pixels} pixels a frame.",
            code=ReasonCode.TOO_MANY_PIXELS,
            fix="Raise UNMASK_MAX_PIXELS, or scale the video down.",
        )
    if media.duration is not None:
        _check_length(media.duration / av.time_base, limits)
    # One demuxer pass a stream: sound and subtitles are dropped before they are parsed.
    for other in media.streams:
        if other.index != stream.index:
            other.discard = av.stream.Discard.all
    stream.codec_context.thread_count = limits.threads
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}


def _check_length(seconds: float, limits: Limits) -> None:
    if seconds > limits.max_seconds:
        raise MediaRefused(
            f"the video lasts {seconds:.0f} s, the limit is {limits.max_seconds:.0f} s.",
            code=ReasonCode.TOO_LONG,
            fix="Raise UNMASK_MAX_SECONDS, or cut the video.",
        )


def _check_count(frames: int, limits: Limits) -> None:
    if frames > limits.max_frames:
        raise MediaRefused(
            f"the video has more than {limits.max_frames} frames.",
            code=ReasonCode.TOO_LONG,
            fix="Raise UNMASK_MAX_FRAMES, or cut the video.",
        )


def _packets(
    media: "av.container.InputContainer", stream: "av.video.stream.VideoStream"
) -> Iterator["av.Packet[av.video.stream.VideoStream]"]:
    """Packets up to the end, reading on after a damaged stretch; the last one flushes the decoder."""
    errors = 0
    while errors < _MAX_READ_ERRORS:
        try:
            for packet in media.demux(stream):
                errors = 0
                yield packet
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            errors += 1
        else:
            return


def _timeline(
    media: "av.container.InputContainer",
    stream: "av.video.stream.VideoStream",
    container: str,
    limits: Limits,
) -> _Timeline:
    """The first pass: every packet's timestamp, nothing decoded."""
    listed: list[tuple[int, bool]] = []
    # VP8 may hide frames in packets of their own, which look like any other from outside.
    trusted = container in _TOLD_TIMES and stream.codec.name != "vp8"
    if trusted:
        for packet in _packets(media, stream):
            if packet.size == 0 or packet.is_discard:
                continue
            if packet.pts is None:
                trusted = False
                break
            listed.append((packet.pts, packet.is_keyframe))
            _check_count(len(listed), limits)
    listed.sort()
    pts = [entry[0] for entry in listed]
    trusted = trusted and len(set(pts)) == len(pts)
    return _Timeline(pts, [entry[1] for entry in listed], trusted)


def _decoded_timeline(
    media: "av.container.InputContainer", stream: "av.video.stream.VideoStream", limits: Limits
) -> _Timeline:
    """Decode everything, keep only the times: for containers that tell none, or tell them wrong."""
    pts: list[int] = []
    keyframes: list[bool] = []
    base = stream.time_base or Fraction(1, 1000)
    step = max(1, round(1 / (float(stream.guessed_rate or 25) * float(base))))
    for frame in _frames(media, stream, _Tally()):
        told = frame.pts if frame.pts is not None else frame.dts
        # Without a time of its own, or with one that runs backwards, a frame follows its forerunner.
        after = pts[-1] + step if pts else 0
        pts.append(told if told is not None and (not pts or told > pts[-1]) else after)
        keyframes.append(frame.key_frame)
        _check_count(len(pts), limits)
    return _Timeline(pts, keyframes, trusted=False)


def _frames(
    media: "av.container.InputContainer", stream: "av.video.stream.VideoStream", tally: _Tally
) -> Iterator[VideoFrame]:
    """Every frame from here to the end; packets the decoder refuses are counted and passed over."""
    for packet in _packets(media, stream):
        yield from _decoded(packet, tally)


def _decoded(
    packet: "av.Packet[av.video.stream.VideoStream]", tally: _Tally
) -> Iterator[VideoFrame]:
    try:
        frames = packet.decode()
    except av.error.EOFError:
        return
    except av.error.FFmpegError:
        tally.corrupt += 1
        return
    for frame in frames:
        tally.decoded += 1
        if frame.is_corrupt:
            tally.corrupt += 1
        yield frame


def _by_count(
    media: "av.container.InputContainer",
    stream: "av.video.stream.VideoStream",
    chosen: list[int],
    tally: _Tally,
) -> Iterator[tuple[int, VideoFrame]]:
    """The chosen frames by their number among all decoded ones."""
    wanted = set(chosen)
    last = chosen[-1] if chosen else -1
    for index, frame in enumerate(_frames(media, stream, tally)):
        if index in wanted and not frame.is_corrupt:
            yield index, frame
        if index >= last:
            return


def _by_time(
    media: "av.container.InputContainer",
    stream: "av.video.stream.VideoStream",
    timeline: _Timeline,
    chosen: list[int],
    tally: _Tally,
    may_seek: bool,
) -> Iterator[tuple[int, VideoFrame]]:
    """The chosen frames by their timestamp, jumping over stretches without any."""
    wanted = {timeline.pts[index]: index for index in chosen}
    pending = sorted(chosen)
    place = {pts: index for index, pts in enumerate(timeline.pts)}
    # Number of the last key frame at or before each frame, in presentation order.
    key_before: list[int] = []
    for index, key in enumerate(timeline.keyframes):
        key_before.append(index if key else (key_before[-1] if key_before else 0))
    position = -1
    done = 0
    packets = _packets(media, stream)
    while True:
        if may_seek and _worth_a_jump(key_before, pending[done], position):
            key = key_before[pending[done]]
            packets, landed = _jump(media, stream, timeline.pts[key])
            # One jump a target: having asked for this key frame, the decoder is at it or before it.
            position = max(position, key - 1)
            may_seek = landed
        for packet in packets:
            for frame in _decoded(packet, tally):
                if frame.pts not in place:
                    continue
                position = max(position, place[frame.pts])
                if frame.pts in wanted and not frame.is_corrupt:
                    yield wanted.pop(frame.pts), frame
            while done < len(pending) and pending[done] <= position:
                done += 1
            if done == len(pending):
                return
            if may_seek and _worth_a_jump(key_before, pending[done], position):
                break
        else:
            return


def _worth_a_jump(key_before: list[int], target: int, position: int) -> bool:
    return key_before[target] - position > _JUMP_COST_FRAMES


def _jump(
    media: "av.container.InputContainer", stream: "av.video.stream.VideoStream", pts: int
) -> tuple[Iterator["av.Packet[av.video.stream.VideoStream]"], bool]:
    """Go to the key frame at `pts`; back to the start, and False, where the index leads astray."""
    media.seek(pts, stream=stream, backward=True)
    packets = _packets(media, stream)
    first = next(packets, None)
    if first is not None and first.pts is not None and first.pts <= pts:
        return itertools.chain([first], packets), True
    media.seek(0)
    return _packets(media, stream), False


def _describe(
    stream: "av.video.stream.VideoStream",
    frame: VideoFrame,
    timeline: _Timeline,
    times: list[float],
    sampled: int,
) -> Opened:
    rotation = round(-frame.rotation / 90.0) * 90 % 360
    sideways = rotation % 180 == 90
    rate = stream.average_rate
    # The last frame is shown as long as the one before it.
    tail = times[-1] - times[-2] if len(times) > 1 else 0.0
    promised = stream.frames or len(times)
    return Opened(
        codec=stream.codec.name,
        width=frame.height if sideways else frame.width,
        height=frame.width if sideways else frame.height,
        rotation_deg=rotation,
        duration_ms=round(times[-1] + tail),
        frame_rate=round(float(rate), 3) if rate else None,
        frames=len(times),
        sampled=sampled,
        missing=max(0, promised - len(times)),
    )


def _upright(frame: VideoFrame, opened: Opened) -> Images:
    sideways = opened.rotation_deg % 180 == 90
    width, height = opened.width, opened.height
    if sideways:
        width, height = height, width
    # A stream may change its size half-way; faces are followed in one coordinate system.
    if (frame.width, frame.height) != (width, height):
        frame = frame.reformat(width=width, height=height)
    rgb = frame.to_ndarray(format="rgb24")
    if opened.rotation_deg:
        rgb = np.ascontiguousarray(np.rot90(rgb, k=-opened.rotation_deg // 90))
    return rgb
