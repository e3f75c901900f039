"""What RQ runs for the ingest role. It may be killed half way and run again without harm."""

from functools import cache

import structlog
from rq import get_current_job

from ingest.faces import FaceDetector, build_face_detector
from ingest.faces.finders.order import at_hand
from ingest.pipeline import ingest_video
from ingest.publish import RedisPublisher
from unmask import queues
from unmask.errors import BrokerError
from unmask.messages import IngestClosed, Submission
from unmask.settings import Settings
from unmask.system import instruments as metrics
from unmask.system import tracing
from workers.jobs.attempts import attempt, consuming
from workers.jobs.settle import enqueue_verdict, settle


def ingest_job(submission_json: str) -> None:
    """RQ's entry point: a Submission as JSON -> crops and a closing message in the job's Redis.

    Raises BrokerError outside RQ. Bad media is a closing message, not an exception.
    """
    submission = Submission.model_validate_json(submission_json)
    job = get_current_job()
    if job is None:
        raise BrokerError("ingest_job runs as an RQ job.", fix="Run `unmask worker ingest`.")
    redis, settings = job.connection, Settings()
    with (
        structlog.contextvars.bound_contextvars(job_id=submission.job_id),
        tracing.span(
            "ingest",
            parent=submission.traceparent,
            kind="consumer",
            attributes=consuming(queues.INGEST_QUEUE, submission.job_id),
        ),
        attempt(redis, submission.job_id, submission.generation, "ingest"),
    ):
        publisher = RedisPublisher(redis, settings)
        closed = ingest_video(
            submission,
            settings=settings,
            publisher=publisher,
            face_detector=_face_detector(settings.face_detector, tuple(at_hand(settings))),
        )
        publisher.close(closed)
        _note(closed)
        if settle(redis, submission.job_id, submission.generation):
            enqueue_verdict(redis, submission.job_id, submission.generation)


def _note(closed: IngestClosed) -> None:
    coverage = closed.coverage
    for outcome in ("scored", "no_face", "failed", "dropped"):
        metrics.count(metrics.FRAMES, getattr(coverage, outcome), outcome=outcome)
    metrics.count(metrics.CROPS_PUBLISHED, closed.crops)


def get_ready() -> None:
    """Load what every job needs and a fork cannot hand on: the face detector with its threads."""
    settings = Settings()
    _face_detector(settings.face_detector, tuple(at_hand(settings)))


@cache
def _face_detector(spec: str, _: tuple[object, ...]) -> FaceDetector:
    """One per process: loading takes longer than a short video. Another one where other weights came."""
    return build_face_detector(spec, Settings())
