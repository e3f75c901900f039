"""Finish or re-enqueue what was left behind. The database says what should be; Redis, what is.

One pass over the unfinished jobs. Nothing here is on the way of an undisturbed job.
"""

import time
from collections import Counter
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from redis import Redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from ingest.owed import recount
from unmask import queues
from unmask.errors import ReasonCode
from unmask.messages import IngestClosed, JobState, Reason
from workers.broker.heartbeats import last_beats
from workers.jobs.retention import delete_expired
from workers.jobs.settle import enqueue_verdict, settle, verdict_job_name
from workers.jobs.submit import enqueue_ingest, ingest_job_name
from workers.scoring.entry import batch_of
from workers.scoring.write_scores import record_failures
from workers.store import JobRow
from workers.verdicts.gather import closing
from workers.verdicts.make import Services, delete_job_keys

log = structlog.get_logger(__name__)

#: A consumer that owes nothing and was silent for so long is taken off the list.
_CONSUMER_FORGOTTEN_MS = 3600 * 1000
#: Look at so many of the oldest entries for crops that nobody will ask for again.
_OLDEST = 8
#: Uploads live for hours: looking through their folder at every pass would be waste.
_UPLOADS_EVERY_S = 600.0
#: A plugin whose last worker was silent for so long, counted as long from the job's last change,
#: will not answer: its crops are given up, and the verdict says so.
_ABANDONED_S = 1800.0


class InRq(StrEnum):
    """What RQ says of one of its jobs."""

    ALIVE = "alive"
    """Queued, running or about to be."""
    ABSENT = "absent"
    FAILED = "failed"


class Sweeper:
    """Keeps what it saw at the last pass: only what looks lost twice is touched."""

    def __init__(self, services: Services, *, abandoned_after_s: float = _ABANDONED_S) -> None:
        self._services = services
        self._abandoned_after_s = abandoned_after_s
        self._suspects: set[str] = set()
        self._uploads_due_s = 0.0

    def sweep(self) -> Counter[str]:
        """One pass; how often it did what. Raises RedisError, StoreError."""
        done: Counter[str] = Counter()
        redis = self._services.redis
        for name in (queues.INGEST_QUEUE, queues.VERDICT_QUEUE):
            # RQ itself looks only every ten minutes for jobs whose worker was killed.
            StartedJobRegistry(name, connection=redis, serializer=JSONSerializer).cleanup()
            done["retried"] += _enqueue_due(redis, name)
        seen: set[str] = set()
        for row in self._services.store.unfinished():
            with structlog.contextvars.bound_contextvars(job_id=row.id):
                action = self._look_after(row, seen)
                if action:
                    done[action] += 1
                    log.info("sweep", action=action)
        self._suspects = seen
        recount(redis)
        done["entries_deleted"] += self._delete_orphans()
        done["consumers_forgotten"] += _forget_consumers(redis)
        if time.monotonic() >= self._uploads_due_s:
            self._uploads_due_s = time.monotonic() + _UPLOADS_EVERY_S
            done += delete_expired(
                self._services.store, self._services.redis, self._services.settings
            )
        return +done

    def _look_after(self, row: JobRow, seen: set[str]) -> str | None:
        services = self._services
        closed = closing(services.redis, row.id, row.generation)
        if closed is None:
            return self._look_after_ingest(row, seen)
        if row.state is JobState.QUEUED:
            services.store.set_state(row.id, JobState.RUNNING, generation=row.generation)
        settled = bool(services.redis.exists(queues.settled(row.id, row.generation)))
        if not settled and not settle(services.redis, row.id, row.generation):
            return self._look_after_scoring(row, closed)
        name = verdict_job_name(row.id, row.generation)
        state = in_rq(services.redis, queues.VERDICT_QUEUE, name)
        if state is InRq.FAILED:
            return self._give_up(row, "its verdict could not be made")
        if settled and not self._lost(state, name, seen):
            return None
        _remove(services.redis, name)
        enqueue_verdict(services.redis, row.id, row.generation)
        return "verdict_enqueued"

    def _look_after_ingest(self, row: JobRow, seen: set[str]) -> str | None:
        services = self._services
        name = ingest_job_name(row.id, row.generation)
        state = in_rq(services.redis, queues.INGEST_QUEUE, name)
        if state is InRq.FAILED:
            return self._give_up(row, "its ingest ended without a result, and so did every retry")
        started = services.redis.exists(queues.progress(row.id, row.generation))
        if started and row.state is JobState.QUEUED:
            services.store.set_state(row.id, JobState.RUNNING, generation=row.generation)
        if not self._lost(state, name, seen):
            return None
        _remove(services.redis, name)
        enqueue_ingest(services.redis, row.submission)
        return "ingest_enqueued"

    def _look_after_scoring(self, row: JobRow, closed: IngestClosed) -> str | None:
        """The workers have it; unless a plugin has had none for so long that it is not coming."""
        redis = self._services.redis
        now = time.time()
        if now - datetime.fromisoformat(row.updated_at).timestamp() < self._abandoned_after_s:
            return None
        beats = last_beats(redis)
        published: Any = redis.hkeys(queues.published(row.id, row.generation))
        given_up = False
        for ref in closed.plugins:
            if now - beats.get(ref.slug, 0.0) < self._abandoned_after_s:
                continue
            reason = Reason(
                code=ReasonCode.PLUGIN_FAILED,
                message=f"no scoring worker serves {ref.slug}: start one with these weights.",
            )
            keys = [key.decode() for key in published]
            record_failures(redis, (row.id, row.generation), ref.slug, keys, reason)
            given_up = True
        if given_up and settle(redis, row.id, row.generation):
            enqueue_verdict(redis, row.id, row.generation)
        return "plugin_given_up" if given_up else None

    def _lost(self, state: InRq, name: str, seen: set[str]) -> bool:
        """Whether RQ had not heard of the job at this pass and the one before."""
        if state is InRq.ALIVE:
            return False
        seen.add(name)
        return name in self._suspects

    def _give_up(self, row: JobRow, what: str) -> str:
        reason = Reason(
            code=ReasonCode.INTERNAL,
            message=f"{what}: see the worker's log, then submit the video again.",
        )
        self._services.store.set_state(row.id, JobState.FAILED, [reason], generation=row.generation)
        delete_job_keys(self._services.redis, row.id, row.generation, row.submission.plugins)
        return "given_up"

    def _delete_orphans(self) -> int:
        """Delete the oldest entries while their jobs are finished or gone."""
        redis = self._services.redis
        deleted = 0
        found: Any = redis.xrange(queues.CROPS, count=_OLDEST)
        for entry_id, fields in found:
            owner = _owner(fields)
            row = self._services.store.job(owner[0]) if owner else None
            open_states = (JobState.QUEUED, JobState.RUNNING)
            if row and owner and row.generation == owner[1] and row.state in open_states:
                break
            deleted += int(redis.xdel(queues.CROPS, entry_id))
        return deleted


def _enqueue_due(redis: "Redis", queue_name: str) -> int:
    """Enqueue the retries whose time has come: without a scheduler process of RQ's, they wait."""
    registry = ScheduledJobRegistry(queue_name, connection=redis, serializer=JSONSerializer)
    queue = Queue(queue_name, connection=redis, serializer=JSONSerializer)
    due = registry.get_jobs_to_schedule()
    for name in due:
        try:
            queue.enqueue_job(Job.fetch(name, connection=redis, serializer=JSONSerializer))
        except NoSuchJobError:
            log.warning("sweep.retry_gone", job=name)
        registry.remove(name)  # last: to be enqueued twice does no harm, never would
    return len(due)


def in_rq(redis: "Redis", queue_name: str, name: str) -> InRq:
    """What RQ knows of the job called `name`."""
    try:
        job = Job.fetch(name, connection=redis, serializer=JSONSerializer)
    except NoSuchJobError:
        return InRq.ABSENT
    status = job.get_status(refresh=False)
    if status in (JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED):
        return InRq.FAILED
    if status == JobStatus.FINISHED:
        return InRq.ABSENT  # it ran, and left the work undone
    if status == JobStatus.QUEUED:
        queue = Queue(queue_name, connection=redis, serializer=JSONSerializer)
        # Popped by a worker that died before it began: in no list that anybody reads.
        return InRq.ALIVE if queue.get_job_position(job) is not None else InRq.ABSENT
    return InRq.ALIVE


def _remove(redis: "Redis", name: str) -> None:
    try:
        Job.fetch(name, connection=redis, serializer=JSONSerializer).delete()
    except NoSuchJobError:
        return


def _owner(fields: dict[bytes, bytes]) -> tuple[str, int] | None:
    """Job and generation of an entry, without touching its pixels."""
    try:
        batch = batch_of(fields)
    except ValueError:
        return None
    return batch.job_id, batch.generation


def _forget_consumers(redis: "Redis") -> int:
    """Take dead consumers that owe nothing off their groups."""
    if not redis.exists(queues.CROPS):
        return 0
    gone = 0
    groups: Any = redis.xinfo_groups(queues.CROPS)
    for group in groups:
        consumers: Any = redis.xinfo_consumers(queues.CROPS, group["name"])
        for consumer in consumers:
            if not consumer["pending"] and consumer["idle"] > _CONSUMER_FORGOTTEN_MS:
                redis.xgroup_delconsumer(queues.CROPS, group["name"], consumer["name"])
                gone += 1
    return gone
