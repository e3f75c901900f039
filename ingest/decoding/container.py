"""Open a container with everything shut that it does not need, check its header, read packets."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from unmask.errors import DecodeFailed, MediaRefused, ReasonCode

DAMAGED = "Upload the file again, or repair it, for example: ffmpeg -i INPUT -c copy repaired.mp4."
#: A demuxer that fails so often in a row is not going to recover.
_MAX_READ_ERRORS = 64


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one video may cost, from the settings."""

    max_pixels: int
    max_seconds: float
    max_frames: int
    max_looks: int | None = None
    """Frames to look at; None: as many as the sampling policy likes."""
    threads: int = 1
    """Decoder threads: one, because several videos side by side use two cores better."""


@dataclass
class Tally:
    """What came out of the decoder so far."""

    decoded: int = 0
    corrupt: int = 0
    """Packets damaged in the file, or refused by the decoder."""
    broken: bool = False
    """Since a damaged packet, until the next key frame: pictures that build on what is missing."""


def open_media(file: BinaryIO, container: str, limits: Limits) -> InputContainer:
    """Open `file` with the demuxer pinned and every protocol shut; close it after use.

    `container`: what sources.sniff found, which is FFmpeg's own short name of the demuxer.
    Raises MediaRefused for what holds no video or is over the limits, DecodeFailed for damage.
    """
    media = _opened(file, container, {"max_pixels": str(limits.max_pixels)})
    try:
        _check_header(media, limits)
        if not media.streams.video[0].codec_context.width:
            # The limit above leaves no size where it was passed: ask again, for the header alone.
            with _opened(file, container, {"probesize": "32"}) as header:
                _check_header(header, limits)
    except BaseException:
        media.close()
        raise
    return media


def _opened(file: BinaryIO, container: str, options: dict[str, str]) -> InputContainer:
    file.seek(0)
    try:
        return av.open(
            file,
            mode="r",
            format=container,
            # No demuxer may open a second file or an address, whatever the media asks for.
            options=options | {"protocol_whitelist": "none"},
            metadata_errors="replace",
            buffer_size=1 << 18,
        )
    except (FFmpegError, ValueError) as error:
        raise DecodeFailed(
            "the container cannot be opened: the file is cut off or damaged.",
            code=ReasonCode.TRUNCATED,
            fix=DAMAGED,
        ) from error


def check_length(seconds: float, limits: Limits) -> None:
    """Raises MediaRefused for a video that is too long."""
    if seconds > limits.max_seconds:
        raise MediaRefused(
            f"the video lasts {seconds:.0f} s, the limit is {limits.max_seconds:.0f} s.",
            code=ReasonCode.TOO_LONG,
            fix="Raise UNMASK_MAX_SECONDS, or cut the video.",
        )


def check_count(frames: int, limits: Limits) -> None:
    """Raises MediaRefused for a video of too many frames."""
    if frames > limits.max_frames:
        raise MediaRefused(
            f"the video has more than {limits.max_frames} frames.",
            code=ReasonCode.TOO_LONG,
            fix="Raise UNMASK_MAX_FRAMES, or cut the video.",
        )


def packets(media: InputContainer, stream: VideoStream) -> "Iterator[Packet[VideoStream]]":
    """Packets up to the end, reading on after a damaged stretch; the last one flushes the decoder."""
    errors = 0
    while errors < _MAX_READ_ERRORS:
        try:
            for packet in media.demux(stream):
                errors = 0
                yield packet
        except EndOfFile:
            return
        except FFmpegError:
            errors += 1
        else:
            return


def frames_of(packet: "Packet[VideoStream]", tally: Tally) -> Iterator[VideoFrame]:
    """What the decoder makes of one packet; one that it refuses is counted and passed over."""
    try:
        frames = packet.decode()
    except EndOfFile:
        return
    except FFmpegError:
        tally.corrupt += 1
        tally.broken = True
        return
    if packet.is_corrupt:
        tally.corrupt += 1
        tally.broken = True
    for frame in frames:
        tally.decoded += 1
        if frame.key_frame:
            tally.broken = packet.is_corrupt
        yield frame


def _check_header(media: InputContainer, limits: Limits) -> None:
    """Raises MediaRefused before a frame is decoded; leaves the first video stream ready to decode."""
    first = media.streams.video[0] if media.streams.video else None
    if first is None or first.disposition & Disposition.attached_pic:
        raise MediaRefused(
            "the file holds no video stream, only sound or a cover picture.",
            code=ReasonCode.NO_VIDEO_STREAM,
            fix="Send a file with pictures that move.",
        )
    decoder = first.codec_context
    if decoder.width * decoder.height > limits.max_pixels:
        raise MediaRefused(
            f"frames of {decoder.width}x{decoder.height} pixels, "
            f"the limit is {limits.max_pixels} pixels per frame.",
            code=ReasonCode.TOO_MANY_PIXELS,
            fix="Raise UNMASK_MAX_PIXELS, or scale the video down.",
        )
    if media.duration is not None:
        check_length(media.duration / av.time_base, limits)
    for other in media.streams:
        if other.index != first.index:
            # Sound and subtitles are dropped before anything parses them.
            other.discard = Discard.all
    decoder.thread_count = limits.threads
    decoder.thread_type = "AUTO"
    # Also for a size that only shows up in the middle of the stream.
    decoder.options = {"max_pixels": str(limits.max_pixels)}
