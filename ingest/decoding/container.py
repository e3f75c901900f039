"""Open a container with everything shut that it does not need, check its header, read packets."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ingest.decoding.video_streams import shown_stream
from unmask.errors import DecodeFailed, MediaRefused, ReasonCode

DAMAGED = "Upload the file again, whole and from its source."
_NO_INDEX = (
    "Upload the whole file again. Where the recording itself broke off, only a tool that rebuilds "
    "the index after another recording of the same camera can help."
)
#: A demuxer that fails so often in a row is not going to recover.
_MAX_READ_ERRORS = 64
#: More top-level boxes than any recording has before its index.
_MAX_BOXES = 10_000
#: Clocks of broadcasts, which start anywhere and are set anew: what a header makes of them is no length.
BROADCAST = {"mpegts", "mpeg"}
ANIMATIONS = {"gif", "apng"}

#: Containers that FFmpeg reads with a demuxer of another name.
_DEMUXERS = {"avif": "mov"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one video may cost, from the settings."""

    max_pixels: int
    max_seconds: float
    max_frames: int
    max_looks: int | None = None
    """Frames to look at; None: as many as the sampling policy likes."""
    looks_per_second: float | None = None
    """The same in proportion to the length; None: in no proportion."""
    max_animation_pixels: int = 8 << 30
    """Frames times canvas of an animated picture (GIF, APNG)."""
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


def open_media(
    file: BinaryIO, container: str, limits: Limits, stream: int | None = None
) -> tuple[InputContainer, VideoStream]:
    """Open `file` with the demuxer pinned and every protocol shut; close it after use.

    `container`: what sources.sniff found. `stream`:
    the number of a video stream; None takes the one that players show. Returns the stream ready to
    decode, all others silenced. Raises MediaRefused for what holds no video or is over the limits,
    DecodeFailed for damage.
    """
    media = _opened(file, container, {"max_pixels": str(limits.max_pixels)})
    try:
        chosen = shown_stream(media, stream)
        _check_header(media, chosen, container, limits)
        if not chosen.codec_context.width:
            # The limit above leaves no size where it was passed: ask again, for the header alone.
            with _opened(file, container, {"probesize": "32"}) as header:
                _check_header(header, shown_stream(header), container, limits)
    except BaseException:
        media.close()
        raise
    return media, chosen


def _opened(file: BinaryIO, container: str, options: dict[str, str]) -> InputContainer:
    file.seek(0)
    try:
        return av.open(
            file,
            mode="r",
            format=_DEMUXERS.get(container, container),
            # No demuxer may open a second file or an address, whatever the media asks for.
            options=options | {"protocol_whitelist": "none"},
            metadata_errors="replace",
            buffer_size=1 << 18,
        )
    except (FFmpegError, ValueError, IndexError) as error:
        if container == "mov" and not _has_index(file):
            raise DecodeFailed(
                "the file ends before its index (moov), without which no picture can be found.",
                code=ReasonCode.TRUNCATED,
                fix=_NO_INDEX,
            ) from error
        raise DecodeFailed(
            "the container cannot be opened: the file is cut off or damaged.",
            code=ReasonCode.TRUNCATED,
            fix=DAMAGED,
        ) from error


def _has_index(file: BinaryIO) -> bool:
    """Whether a top-level `moov` box stands in an ISO base media file."""
    at = 0
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return False
        size = int.from_bytes(head[:4], "big")
        if head[4:8] == b"moov":
            return True
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8:
            return False
        at += size
    return False


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


def check_animation(container: str, frames: int, pixels: int, limits: Limits) -> None:
    """Raises MediaRefused for an animated picture that costs more than its few bytes suggest.

    Each frame of these is painted on the whole canvas, and none can be jumped to.
    """
    if container in ANIMATIONS and frames * pixels > limits.max_animation_pixels:
        raise MediaRefused(
            f"{frames} frames of {pixels} pixels that can only be painted one after another; the "
            f"limit is {limits.max_animation_pixels} pixels in all.",
            code=ReasonCode.TOO_MANY_PIXELS,
            fix="Raise UNMASK_MAX_ANIMATION_PIXELS, or send the clip as mp4.",
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


def _check_header(
    media: InputContainer, chosen: VideoStream, container: str, limits: Limits
) -> None:
    """Raises MediaRefused before a frame is decoded; leaves the stream ready to decode."""
    decoder = chosen.codec_context
    if decoder.width * decoder.height > limits.max_pixels:
        raise MediaRefused(
            f"frames of {decoder.width}x{decoder.height} pixels, "
            f"the limit is {limits.max_pixels} pixels per frame.",
            code=ReasonCode.TOO_MANY_PIXELS,
            fix="Raise UNMASK_MAX_PIXELS, or scale the video down.",
        )
    if media.duration is not None and container not in BROADCAST:
        check_length(media.duration / av.time_base, limits)
    for other in media.streams:
        if other.index != chosen.index:
            # Sound and subtitles are dropped before anything parses them.
            other.discard = Discard.all
    decoder.thread_count = limits.threads
    decoder.thread_type = "AUTO"
    # Also for a size that only shows up in the middle of the stream.
    decoder.options = {"max_pixels": str(limits.max_pixels)}
