"""The screen of a job's page: which of its addresses a browser plays, and what to say otherwise."""

from dataclasses import replace

from console.show.screen import Screen, ScreenSource, frame_ms
from console.show.wording import clock
from console.web.player.kept_media import WEBM, KeptMedia, kept_media
from console.web.player.rendition_routes import hidden
from console.web.services import WebServices
from unmask.verdict import NormalisedBox, Verdict
from workers.jobs.renditions.shelf import Shelf
from workers.store import JobRow


def screen_of(found: WebServices, job: JobRow, verdict: Verdict) -> Screen | None:
    """None for whoever may not watch. Touches the disk alone: the browser's own request for a
    rendition has it made."""
    if "media.read" not in found.actor.permissions:
        return None
    kept = kept_media(found.settings, job)
    address = f"{found.root}/v1/jobs/{job.id}"
    media = f"{address}/media"
    screen = Screen(
        width=verdict.media.width,
        height=verdict.media.height,
        faces_url=f"{address}/faces",
        frame_ms=frame_ms(verdict),
        end_ms=verdict.media.duration_ms or 0,
    )
    if kept is None and job.submission.address is None:
        return replace(screen, note="The video is no longer kept. Verdict and evidence stay.")
    if kept is not None and kept.is_picture:
        return replace(screen, picture_url=media, download_url=media, marks=_marks(verdict))
    rendition = ScreenSource(url=f"{address}/rendition", content_type=WEBM)
    sources: tuple[ScreenSource, ...] = (rendition,)
    if kept is not None and _plays(kept, verdict):
        original = ScreenSource(
            url=media, content_type=kept.content_type, offset_ms=verdict.media.offset_ms
        )
        sources = (original, rendition)
    return replace(
        screen,
        sources=sources,
        rendition_url=rendition.url,
        download_url=media if kept is not None else None,
        note="" if len(sources) > 1 else _said(found, job),
    )


def _marks(verdict: Verdict) -> tuple[tuple[int, NormalisedBox], ...]:
    """Faces of a still; in an animation they move."""
    if not verdict.media.picture:
        return ()
    looks = ((track.id, point.box) for track in verdict.tracks for point in track.timeline[:1])
    return tuple((number, box) for number, box in looks if box is not None)


def _plays(kept: KeptMedia, verdict: Verdict) -> bool:
    # Of several video streams a browser may pick another than the one that was judged.
    return kept.plays(verdict.media.codec) and not verdict.media.streams


def _said(found: WebServices, job: JobRow) -> str:
    note = Shelf(found.settings).note(job.id)
    if note is None:
        return ""
    if note.failure is not None:
        return f"It cannot be shown: {hidden(job, note.failure).message}"
    return "" if note.whole else f"This rendition ends at {clock(note.end_ms)}, at its limit."
