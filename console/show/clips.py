"""The suspicious stretch of a video as a small clip that a report carries inside."""

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from console.show.face_places import places
from console.show.screen import Screen, ScreenSource, faces_json, frame_ms
from ingest.decoding.events import Rendered
from ingest.sandbox.parent import Decoding, Encode
from ingest.sources import open_source
from unmask.errors import UnmaskError
from unmask.settings import Settings
from unmask.verdict import Verdict

log = structlog.get_logger(__name__)

#: What a report stays easy to send with: some seconds, small, a megabyte or two.
LONGEST_MS = 12_000
_AROUND_MS = 500
_MAX_HEIGHT = 360
_MAX_BYTES = 6 << 20
_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A stretch of a video as WebM. Times on the video's clock."""

    webm: bytes
    start_ms: int
    end_ms: int


def worst_stretch(verdict: Verdict) -> tuple[int, int] | None:
    """From where to where the worst suspicious segment is shown; None where nothing is suspicious.

    Of a long one, its beginning: what a person needs to see is there, or it is nowhere.
    """
    if not verdict.segments:
        return None
    worst = verdict.segments[0]
    start = max(0, worst.start_ms - _AROUND_MS)
    return start, min(worst.end_ms + _AROUND_MS, start + LONGEST_MS)


def clip_of(media: Path | str, verdict: Verdict, settings: Settings) -> Clip | None:
    """The clip of a video on this machine, cut in the decoder's sandbox.

    None where nothing is suspicious, where the media came from an address and is not kept, and,
    with a word in the log, where it cannot be read again.
    """
    stretch = worst_stretch(verdict)
    if stretch is None or isinstance(media, str) or verdict.media.picture:
        return None
    try:
        with tempfile.TemporaryFile(prefix="unmask-") as into:
            wish = Encode(
                descriptor=into.fileno(),
                start_ms=stretch[0],
                end_ms=stretch[1],
                max_height=_MAX_HEIGHT,
                max_frames=LONGEST_MS,
                max_bytes=_MAX_BYTES,
                seconds=_SECONDS,
            )
            with (
                open_source(media, settings) as source,
                Decoding(source, "all", settings, encode=wish) as decoding,
            ):
                done = [e for e in decoding.rendering() if isinstance(e, Rendered)][-1]
            into.seek(0)
            return Clip(webm=into.read(), start_ms=done.start_ms, end_ms=done.end_ms)
    except (UnmaskError, OSError) as error:
        log.warning("clip.failed", error=str(error))
        return None


def screen_with(clip: Clip, verdict: Verdict) -> Screen:
    """The screen of a report: the clip, and the boxes of its faces."""
    shown = places(verdict, clip.start_ms, clip.end_ms)
    data = base64.b64encode(clip.webm).decode("ascii")
    source = ScreenSource(
        url=f"data:video/webm;base64,{data}", content_type="video/webm", offset_ms=-clip.start_ms
    )
    return Screen(
        width=verdict.media.width,
        height=verdict.media.height,
        sources=(source,),
        faces=faces_json(shown.looks),
        frame_ms=frame_ms(verdict),
        start_ms=clip.start_ms,
        end_ms=clip.end_ms,
        note="The worst suspicious segment, reduced.",
    )
