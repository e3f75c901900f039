"""Take a job out of the workers' hands: out of RQ's queues, and its crops out of Redis."""

import time

import structlog
from redis import Redis
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from unmask import queues
from workers.jobs.in_rq import remove
from workers.jobs.renditions.order_rendition import rendition_job_name
from workers.jobs.settle import verdict_job_name
from workers.jobs.submit import ingest_job_name
from workers.store import JobRow
from workers.verdicts.make import delete_job_keys

log = structlog.get_logger(__name__)

#: For so long nothing is published for a job that was stopped.
_FLAG_S = 3600
_WAIT_S = 4.0
_LOOK_EVERY_S = 0.1


def stop_work(redis: "Redis", row: JobRow, *, wait_s: float = _WAIT_S) -> None:
    """Nothing more is done for this generation of the job, and its crops are gone.

    A worker that is at it is told to stop, and waited for; one that does not hear can publish
    nothing more. Raises RedisError.
    """
    job = (row.id, row.generation)
    redis.set(queues.cancelled(*job), "1", ex=_FLAG_S)
    names = (ingest_job_name(*job), verdict_job_name(*job), rendition_job_name(row.id))
    running = [name for name in names if not _taken_out(redis, name)]
    deadline = time.monotonic() + wait_s
    while running and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
        running = [name for name in running if not _taken_out(redis, name)]
    if running:
        log.warning("job.still_running", job_id=row.id, work=running)
    delete_job_keys(redis, *job, row.submission.plugins)


def _taken_out(redis: "Redis", name: str) -> bool:
    """Remove RQ's job of that name, unless a worker is at it: that one is told to stop."""
    try:
        job = Job.fetch(name, connection=redis, serializer=JSONSerializer)
        if job.get_status() != JobStatus.STARTED:
            remove(redis, name)
            return True
        send_stop_job_command(redis, name, serializer=JSONSerializer)
    except NoSuchJobError:
        return True
    except InvalidJobOperation:
        return False  # between two states: look again
    return False
