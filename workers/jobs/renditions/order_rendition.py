"""Ask for a rendition, and how far it is. Asked twice, it is made once."""

from typing import Literal

from redis import Redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from unmask.frozen import Frozen
from unmask.queues import INGEST_QUEUE
from unmask.settings import Settings
from workers.jobs.in_rq import remove
from workers.store import JobRow

RENDITION_JOB = "workers.jobs.renditions.make_rendition.rendition_job"
#: Beyond the time of making: starting up, fetching, closing the file.
_SLACK_S = 300
#: A rendition that no worker took for so long is asked for anew by whoever looks next.
_WAITS_S = 24 * 3600


class BeingMade(Frozen):
    """How far a rendition is."""

    state: Literal["queued", "running"]
    done: float = 0.0
    """Share of its frames, 0..1."""


def order(redis: "Redis", settings: Settings, job: JobRow) -> BeingMade:
    """Have it made, ahead of what waits: somebody sits in front of it. Raises RedisError."""
    name = rendition_job_name(job.id)
    known = _known(redis, name)
    if known is not None:
        return known
    remove(redis, name)
    Queue(INGEST_QUEUE, connection=redis, serializer=JSONSerializer).enqueue_call(
        RENDITION_JOB,
        args=(job.submission.model_dump_json(),),
        description=name,  # not the arguments: a signed address is a key
        job_id=name,
        timeout=int(settings.rendition_timeout_s + settings.fetch_timeout_s) + _SLACK_S,
        ttl=_WAITS_S,
        result_ttl=0,
        failure_ttl=60,
        at_front=True,
    )
    return BeingMade(state="queued")


def rendition_job_name(job_id: str) -> str:
    """The name RQ knows it by."""
    return f"rendition-{job_id}"


def _known(redis: "Redis", name: str) -> BeingMade | None:
    """None where RQ has it neither in hand nor in its queue."""
    try:
        job = Job.fetch(name, connection=redis, serializer=JSONSerializer)
    except NoSuchJobError:
        return None
    status = job.get_status(refresh=False)
    if status == JobStatus.STARTED:
        return BeingMade(state="running", done=float(job.meta.get("done", 0.0)))
    if status == JobStatus.QUEUED:
        queue = Queue(INGEST_QUEUE, connection=redis, serializer=JSONSerializer)
        return BeingMade(state="queued") if queue.get_job_position(job) is not None else None
    return None
