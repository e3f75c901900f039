"""Finish or try again what was left behind. The database says what should be; Redis, what is.

One pass over the unfinished jobs. Nothing here is on the way of an undisturbed job. An outage never
ends a job: the sweeper writes down why it waits, and tries again until it is over.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from redis.exceptions import RedisError
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from ingest.owed import recount
from unmask import queues
from unmask.errors import ReasonCode, StoreError
from unmask.messages import IngestClosed, JobState, PluginRef, Reason
from unmask.system import instruments as metrics
from workers.broker.lifesigns import Silence, roles_alive, served
from workers.jobs.attempts import Attempts, Phase, attempts
from workers.jobs.in_rq import InRq, in_rq, remove, running
from workers.jobs.orders.decide import record_due
from workers.jobs.removal.retention import delete_expired
from workers.jobs.removal.tidy import delete_consumers, delete_orphans
from workers.jobs.settle import enqueue_verdict, settle, verdict_job_name
from workers.jobs.submit import enqueue_ingest, ingest_job_name
from workers.jobs.waiting import WaitingRoom
from workers.scoring.write_scores import record_failures
from workers.store import JobRow
from workers.verdicts.gather import closing
from workers.verdicts.make import Services, delete_job_keys

log = structlog.get_logger(__name__)

#: What each role listens on.
_QUEUES: Mapping[Phase, tuple[str, ...]] = {
    "ingest": tuple(queues.INGEST_LANES.values()),
    "verdict": (queues.VERDICT_QUEUE,),
}
#: Uploads live for hours: looking through their folder at every pass would be waste.
_UPLOADS_EVERY_S = 600.0
#: Nobody has served a plugin for so long: its crops are given up, and the verdict says so.
_ABANDONED_S = 24 * 3600.0
#: The same where somebody serves that plugin with other weights: these were replaced.
_REPLACED_S = 1800.0
#: So long without a worker, and the job says that it waits for one.
_UNSERVED_S = 60.0
#: Over RQ's own patience with a worker, which ends first wherever no clock was set.
_WORKER_SILENT_S = 60.0


class Sweeper:
    """Keeps what it saw at the last pass: only what looks lost twice is touched."""

    def __init__(
        self,
        services: Services,
        *,
        abandoned_after_s: float = _ABANDONED_S,
        replaced_after_s: float = _REPLACED_S,
        unserved_after_s: float = _UNSERVED_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._abandoned_after_s = abandoned_after_s
        self._replaced_after_s = replaced_after_s
        self._unserved_after_s = unserved_after_s
        self._clock = clock
        self._silence = Silence(clock)
        self._room = WaitingRoom(clock)
        self._suspects: set[str] = set()
        self._seen: set[str] = set()
        self._served: dict[str, bool] = {}
        self._roles: dict[str, bool] = {}
        self._in_hand: dict[str, dict[str, float]] = {}
        self._uploads_due_s: float | None = None

    @property
    def someone_waits(self) -> bool:
        """Whether an outage holds a job up, or did at the last pass."""
        return bool(self._room.names())

    def sweep(self) -> Counter[str]:
        """One pass; how often it did what. Raises RedisError, StoreError."""
        done: Counter[str] = Counter()
        redis, store = self._services.redis, self._services.store
        for role, names in _QUEUES.items():
            self._in_hand[role] = {}
            for name in names:
                # RQ itself looks only every ten minutes for jobs whose worker was killed.
                StartedJobRegistry(name, connection=redis, serializer=JSONSerializer).cleanup()
                self._in_hand[role] |= running(redis, name)
        self._served = served(redis)
        self._roles = roles_alive(redis, _QUEUES)
        self._seen = set()
        rows = store.unfinished()
        for row in rows:
            with structlog.contextvars.bound_contextvars(job_id=row.id):
                action = self._look_after_safely(row)
                if action:
                    done[action] += 1
                    log.info("job.swept", action=action)
        self._suspects = self._seen
        self._make_verdicts(rows)
        done["decisions_recorded"] += record_due(store)
        recount(redis)
        done["entries_deleted"] += delete_orphans(redis, store)
        done["consumers_deleted"] += delete_consumers(redis)
        now = self._clock()
        if self._uploads_due_s is None or now >= self._uploads_due_s:
            self._uploads_due_s = now + _UPLOADS_EVERY_S
            done += delete_expired(store, redis, self._services.settings)
        for action, times in (+done).items():
            metrics.count(metrics.SWEPT, times, action=action)
        return +done

    def _make_verdicts(self, rows: list[JobRow]) -> None:
        """A job that waited and is unfinished no longer got through: the outage is over."""
        names = {
            name
            for row in rows
            for name in (
                ingest_job_name(row.id, row.generation),
                verdict_job_name(row.id, row.generation),
            )
        }
        for name in self._room.names() - names:
            self._room.through(name)

    def _look_after_safely(self, row: JobRow) -> str | None:
        """One job that makes us stumble must not keep us from the others."""
        try:
            return self._look_after(row)
        except (RedisError, StoreError):
            raise
        except Exception:
            log.exception("job.sweep_failed")
            return None

    def _look_after(self, row: JobRow) -> str | None:
        services = self._services
        closed = closing(services.redis, row.id, row.generation)
        if closed is None:
            name = ingest_job_name(row.id, row.generation)
            return self._look_after_phase(row, "ingest", name)
        if self._room.waits(ingest_job_name(row.id, row.generation)):
            self._room.through(ingest_job_name(row.id, row.generation))
            row = self._say(row, None, JobState.RUNNING)
        if row.state is JobState.QUEUED:
            row = self._say(row, row.reasons[0] if row.reasons else None, JobState.RUNNING)
        settled = bool(services.redis.exists(queues.settled(row.id, row.generation)))
        if not settled:
            if not settle(services.redis, row.id, row.generation):
                return self._look_after_scoring(row, closed)
            return self._enqueue(row, "verdict", verdict_job_name(row.id, row.generation))
        return self._look_after_phase(row, "verdict", verdict_job_name(row.id, row.generation))

    def _look_after_phase(self, row: JobRow, phase: Phase, name: str) -> str | None:
        """Ingest or verdict: leave it alone, try it again, let it wait, or give it up."""
        redis = self._services.redis
        state = in_rq(redis, name, self._in_hand[phase])
        if state is InRq.QUEUED:
            self._say_unserved(row, phase)
            return None
        if state is InRq.RUNNING and self._silent(phase, name):
            state = InRq.FAILED
        if state is InRq.RUNNING:
            if phase == "ingest" and (row.state is JobState.QUEUED or row.reasons):
                self._say(row, None, JobState.RUNNING)
            return None
        tried = attempts(redis, row.id, row.generation, phase)
        if tried.exhausted:
            return self._give_up(row, phase, tried)
        if tried.reason is not None:
            self._say(row, tried.reason)
            if not self._room.due(name, tried.reason.code, max(1, tried.outages + tried.faults)):
                return None
        elif state is InRq.ABSENT and not self._lost(name):
            return None
        return self._enqueue(row, phase, name)

    def _silent(self, phase: Phase, name: str) -> bool:
        """Whether its worker gave no sign for long. RQ asks the wall clock, which may have been set."""
        beat = self._in_hand[phase][name]
        return self._silence.seconds((phase, name), beat) >= _WORKER_SILENT_S

    def _enqueue(self, row: JobRow, phase: Phase, name: str) -> str:
        redis = self._services.redis
        remove(redis, name)
        if phase == "ingest":
            enqueue_ingest(redis, row.submission, priority=row.details.priority)
        else:
            enqueue_verdict(redis, row.id, row.generation)
        return f"{phase}_enqueued"

    def _look_after_scoring(self, row: JobRow, closed: IngestClosed) -> str | None:
        """The workers have it, unless one of its plugins has had none for long."""
        missing, given_up = [], False
        for ref in closed.plugins:
            silent_s = self._silence.seconds(ref.slug, bool(self._served.get(ref.slug)))
            if self._served.get(ref.slug):
                continue
            patience_s = self._replaced_after_s if self._replaced(ref) else self._abandoned_after_s
            if silent_s >= patience_s:
                self._give_up_plugin(row, ref)
                given_up = True
            elif silent_s >= self._unserved_after_s:
                missing.append(ref.slug)
        reason = None
        if missing:
            reason = Reason(
                code=ReasonCode.NO_WORKER,
                message=f"no scoring worker serves {', '.join(missing)}: "
                "start `unmask worker score` with these weights.",
            )
        if reason or row.reasons:
            self._say(row, reason)
        if given_up and settle(self._services.redis, row.id, row.generation):
            enqueue_verdict(self._services.redis, row.id, row.generation)
        return "plugin_given_up" if given_up else None

    def _replaced(self, ref: PluginRef) -> bool:
        """Whether the plugin is served, only not with these weights."""
        return any(
            alive and slug != ref.slug and slug.partition("@")[0] == ref.key
            for slug, alive in self._served.items()
        )

    def _give_up_plugin(self, row: JobRow, ref: PluginRef) -> None:
        redis = self._services.redis
        published: Any = redis.hkeys(queues.published(row.id, row.generation))
        reason = Reason(
            code=ReasonCode.PLUGIN_FAILED,
            message=f"no scoring worker serves {ref.slug}: start one with these weights.",
        )
        keys = [key.decode() for key in published]
        record_failures(redis, (row.id, row.generation), ref.slug, keys, reason)

    def _lost(self, name: str) -> bool:
        """Whether RQ had not heard of the job at this pass and the one before."""
        self._seen.add(name)
        return name in self._suspects

    def _say_unserved(self, row: JobRow, role: Phase) -> None:
        """A job in a queue that nobody reads says so; one that is read says so no more."""
        alive = self._roles[role]
        if not alive and self._silence.seconds(role, alive) >= self._unserved_after_s:
            fix = f"no {role} worker is running: start `unmask worker {role}`."
            self._say(row, Reason(code=ReasonCode.NO_WORKER, message=fix))
        elif alive and row.reasons and row.reasons[0].code is ReasonCode.NO_WORKER:
            self._say(row, None)

    def _say(self, row: JobRow, reason: Reason | None, state: JobState | None = None) -> JobRow:
        """Write down why a job waits, or that it waits no longer, where that is new."""
        said = row.model_copy(
            update={"reasons": () if reason is None else (reason,), "state": state or row.state}
        )
        if said != row:
            self._services.store.set_state(
                row.id, said.state, said.reasons, generation=row.generation
            )
        return said

    def _give_up(self, row: JobRow, phase: Phase, tried: Attempts) -> str:
        why = tried.reason or Reason(
            code=ReasonCode.DEAD_LETTER,
            message=f"{tried.deaths} processes died over its {phase} without a word.",
        )
        message = f"{why.message} See the worker's log, then run `unmask jobs retry {row.id}`."
        reason = Reason(code=why.code, message=message)
        self._services.store.set_state(row.id, JobState.FAILED, [reason], generation=row.generation)
        metrics.count(metrics.JOBS_ENDED, state="failed", code=why.code.value)
        delete_job_keys(self._services.redis, row.id, row.generation, row.submission.plugins)
        return "given_up"
