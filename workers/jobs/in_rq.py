"""What RQ knows of our jobs."""

from collections.abc import Container
from enum import StrEnum
from typing import Any

from redis import Redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.executions import ExecutionRegistry
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer


class InRq(StrEnum):
    """What RQ says of one of its jobs."""

    QUEUED = "queued"
    """Somebody is about to take it."""
    RUNNING = "running"
    ABSENT = "absent"
    """Never heard of, or it ran and left the work undone."""
    FAILED = "failed"
    """Its process raised, or died."""


def running(redis: "Redis", queue_name: str) -> dict[str, float]:
    """Jobs that a worker has in hand -> a number that changes at each of its signs of life."""
    registry = StartedJobRegistry(queue_name, connection=redis, serializer=JSONSerializer)
    found: Any = redis.zrange(registry.key, 0, -1, withscores=True)
    # An entry is the job's name and the execution's, with a colon between.
    return {key.decode().rpartition(":")[0]: float(score) for key, score in found}


def in_rq(redis: "Redis", name: str, in_hand: Container[str]) -> InRq:
    """What RQ knows of the job called `name`; `in_hand`: the jobs that workers are at."""
    if name in in_hand:  # its status changes only once its process has started, which may take long
        return InRq.RUNNING
    try:
        job = Job.fetch(name, connection=redis, serializer=JSONSerializer)
    except NoSuchJobError:
        return InRq.ABSENT
    status = job.get_status(refresh=False)
    if status in (JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED):
        return InRq.FAILED
    if status == JobStatus.QUEUED:
        queue = Queue(job.origin, connection=redis, serializer=JSONSerializer)
        # Popped by a worker that died before it began: in no list that anybody reads.
        return InRq.QUEUED if queue.get_job_position(job) is not None else InRq.ABSENT
    return InRq.ABSENT


def remove(redis: "Redis", name: str) -> None:
    """Take the job called `name` out of RQ, wherever it stands there."""
    try:
        job = Job.fetch(name, connection=redis, serializer=JSONSerializer)
    except NoSuchJobError:
        return
    registry = StartedJobRegistry(job.origin, connection=redis, serializer=JSONSerializer)
    entries: Any = redis.zrange(registry.key, 0, -1)
    stale = [entry for entry in entries if entry.decode().rpartition(":")[0] == name]
    if stale:
        redis.zrem(registry.key, *stale)
    # RQ's own deletion stumbles over an execution that has expired while its name is listed still.
    redis.delete(ExecutionRegistry.key_template.format(name))
    job.delete()
