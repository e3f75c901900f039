"""What RQ runs to make a rendition. Killed half way, it leaves nothing, and is asked for again."""

import os
from contextlib import suppress
from pathlib import Path

import structlog
from redis import Redis
from rq import get_current_job
from rq.job import Job

from ingest.decoding.events import Rendered, Rendering
from ingest.fetching.fetch import fetch
from ingest.sandbox.parent import Decoding, Encode
from ingest.sources import Source, inspect, open_source
from unmask import queues
from unmask.errors import BrokerError, DecodeFailed, DecoderKilled, InputError, ReasonCode
from unmask.messages import Reason, Submission
from unmask.settings import Settings
from workers.jobs.renditions.shelf import RenditionNote, Shelf

log = structlog.get_logger(__name__)

#: Half an hour at thirty frames a second; longer videos are shown with fewer pictures per second.
MAX_FRAMES = 54_000


def rendition_job(submission_json: str) -> None:
    """RQ's entry point: a Submission as JSON -> a rendition on the shelf, or a note why there is none.

    Raises BrokerError outside RQ, and for outages: the next one who looks asks again.
    """
    submission = Submission.model_validate_json(submission_json)
    job = get_current_job()
    if job is None:
        raise BrokerError("rendition_job runs as an RQ job.", fix="Run `unmask worker ingest`.")
    with structlog.contextvars.bound_contextvars(job_id=submission.job_id):
        make(submission, Settings(), job.connection, job)


def make(
    submission: Submission, settings: Settings, redis: "Redis", job: Job | None = None
) -> None:
    """Make it, unless the job is being erased meanwhile: then nothing of it stays."""
    shelf = Shelf(settings)
    try:
        with shelf.draft(submission.job_id) as draft:
            rendered = _write(submission, settings, draft, job)
            note = RenditionNote(end_ms=rendered.end_ms, whole=rendered.whole)
            with suppress(FileNotFoundError):  # erased while it was made
                shelf.put(submission.job_id, note, draft)
            log.info("rendition.made", frames=rendered.frames, whole=rendered.whole)
    except (InputError, DecoderKilled) as error:
        log.info("rendition.failed", code=error.code.value, cause=str(error))
        reason = Reason(code=error.code, message=str(error))
        shelf.put(submission.job_id, RenditionNote(failure=reason))
    # An erasure says so before it deletes: whichever of the two comes last leaves nothing.
    if redis.exists(queues.cancelled(submission.job_id, submission.generation)):
        shelf.remove(submission.job_id)


def _write(submission: Submission, settings: Settings, draft: Path, job: Job | None) -> Rendered:
    # The sandbox's clock is the backstop of the encoder's own, which ends the file in good order.
    patient = settings.model_copy(
        update={"decode_timeout_s": settings.rendition_timeout_s + settings.decode_timeout_s}
    )
    descriptor = os.open(draft, os.O_WRONLY | os.O_CLOEXEC)
    try:
        wish = Encode(
            descriptor=descriptor,
            max_frames=min(MAX_FRAMES, settings.max_frames),
            max_bytes=settings.rendition_max_bytes,
            seconds=settings.rendition_timeout_s,
        )
        with (
            _opened(submission, settings) as source,
            Decoding(source, "all", patient, encode=wish) as decoding,
        ):
            for event in decoding.rendering():
                if isinstance(event, Rendering):
                    _tell(job, event)
                elif event.frames:
                    return event
                else:
                    raise DecodeFailed(
                        "its time was up before the first frame.",
                        code=ReasonCode.DECODE_TIMEOUT,
                        fix="Raise UNMASK_RENDITION_TIMEOUT_S.",
                    )
    finally:
        os.close(descriptor)
    raise AssertionError("unreachable: rendering ends with Rendered or raises")


def _opened(submission: Submission, settings: Settings) -> Source:
    path = Path(submission.path)
    if submission.address is None:
        return open_source(path, settings)
    return inspect(fetch(submission.address, settings), path, settings)


def _tell(job: Job | None, event: Rendering) -> None:
    if job is not None and event.of:
        job.meta["done"] = round(min(1.0, event.done / event.of), 2)
        job.save_meta()
