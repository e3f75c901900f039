"""Which of a file's video streams a player shows, and what the others are."""

from dataclasses import dataclass
from typing import Literal

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from unmask.errors import MediaRefused, ReasonCode

_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image

Outcome = Literal["judged", "passed_over", "cover_picture", "unreadable"]


@dataclass(frozen=True, kw_only=True)
class StreamSeen:
    """One video stream of the file, and what became of it."""

    index: int
    """As the container counts its streams."""
    codec: str
    width: int
    """As coded, pixels."""
    height: int
    duration_ms: int | None
    default: bool
    """Whether the file calls it the one to play."""
    outcome: Outcome


def shown_stream(media: InputContainer, index: int | None = None) -> VideoStream:
    """The stream that players pick: the default one, else the largest, else the longest.

    `index`: take the stream of that number instead. Raises MediaRefused where there is no video, or
    none in a codec that is known here.
    """
    videos = media.streams.video
    moving = [s for s in videos if not s.disposition & _PICTURES]
    if not moving:
        raise MediaRefused(
            "the file holds no video stream, only sound or a cover picture.",
            code=ReasonCode.NO_VIDEO_STREAM,
            fix="Send a file with pictures that move.",
        )
    if any(stream.disposition & Disposition.dependent for stream in moving):
        raise MediaRefused(
            "the picture is stored in tiles, which are not joined here.",
            code=ReasonCode.UNSUPPORTED_MEDIA,
            fix="Convert it to JPEG or PNG first.",
        )
    readable = [s for s in moving if _readable(s)]
    if not readable:
        raise MediaRefused(
            "the video is in a codec that cannot be read here.",
            code=ReasonCode.UNSUPPORTED_MEDIA,
            fix="Convert it first, for example: ffmpeg -i INPUT -c:v libx264 output.mp4.",
        )
    if index is not None:
        return next(s for s in readable if s.index == index)
    return max(readable, key=_rank)


def listed_streams(media: InputContainer, judged: VideoStream) -> tuple[StreamSeen, ...]:
    """Every video stream, where there is more than one."""
    videos = media.streams.video
    if len(videos) < 2:
        return ()
    return tuple(_seen(stream, judged) for stream in videos)


def _seen(stream: VideoStream, judged: VideoStream) -> StreamSeen:
    outcome: Outcome = "passed_over"
    if stream.disposition & _PICTURES:
        outcome = "cover_picture"
    elif not _readable(stream):
        outcome = "unreadable"
    elif stream.index == judged.index:
        outcome = "judged"
    width, height = _size(stream)
    seconds = _seconds(stream)
    return StreamSeen(
        index=stream.index,
        codec=_codec(stream),
        width=width,
        height=height,
        duration_ms=round(seconds * 1000) if seconds else None,
        default=bool(stream.disposition & Disposition.default),
        outcome=outcome,
    )


def _readable(stream: VideoStream) -> bool:
    # PyAV makes no decoder where FFmpeg knows none, whatever its types say.
    return getattr(stream, "codec_context", None) is not None


def _rank(stream: VideoStream) -> tuple[bool, int, float, int]:
    width, height = _size(stream)
    default = bool(stream.disposition & Disposition.default)
    # The first of equals, as a player.
    return default, width * height, _seconds(stream), -stream.index


def _size(stream: VideoStream) -> tuple[int, int]:
    if not _readable(stream):
        return 0, 0
    return stream.codec_context.width, stream.codec_context.height


def _seconds(stream: VideoStream) -> float:
    if stream.duration is None or stream.time_base is None:
        told = stream.metadata.get("DURATION", "")
        hours, _, rest = told.partition(":")
        minutes, _, seconds = rest.partition(":")
        try:
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        except ValueError:
            return 0.0
    return float(stream.duration * stream.time_base)


def _codec(stream: VideoStream) -> str:
    return stream.codec_context.name if _readable(stream) else "unknown"
