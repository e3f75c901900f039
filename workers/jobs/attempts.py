"""What each attempt at a job's ingest or verdict came to, kept in Redis for the sweeper to read.

Each attempt leaves a mark when it begins and removes it when it ends, however it ends: a mark that stays
is a process that died. A Redis without memory to spare refuses to write that an attempt failed, but never
to remove a mark; so an outage is not taken for a death.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

import structlog
from redis import Redis
from redis.exceptions import RedisError

from unmask import queues
from unmask.errors import ReasonCode
from unmask.frozen import Frozen
from unmask.messages import Reason
from unmask.system import instruments as metrics
from unmask.system.stopwatch import Stopwatch
from workers.jobs.outages import outage_of

log = structlog.get_logger(__name__)

Phase = Literal["ingest", "verdict"]

#: Errors that are neither the media's nor the machine's: so many, then the job fails and says which.
MAX_FAULTS = 4
#: Processes that died over it, without a word. Far over what an outage or an impatient operator
#: causes; a video that takes its worker with it every time must end some day.
MAX_DEATHS = 10
_MARK = "under way "


class Attempts(Frozen):
    """How a job's attempts at one phase went so far."""

    outages: int = 0
    faults: int = 0
    deaths: int = 0
    """Attempts of which nothing was heard again; the one under way counts among them."""
    reason: Reason | None = None
    """What stopped the last attempt that could still say so."""

    @property
    def exhausted(self) -> bool:
        """Whether the job is to fail: it, and not the machine, seems at fault."""
        return self.faults >= MAX_FAULTS or self.deaths > MAX_DEATHS


@contextmanager
def attempt(redis: "Redis", job_id: str, generation: int, phase: Phase) -> Iterator[None]:
    """Count an attempt, and note what stops it before the error goes on to RQ.

    Where Redis itself is the trouble nothing can be noted; the sweeper then sees a job without an
    attempt under way, and tries again.
    """
    name = queues.trouble(job_id, generation, phase)
    mark = f"{_MARK}{secrets.token_hex(8)}"
    with redis.pipeline(transaction=False) as pipe:
        pipe.hset(name, mark, "")
        pipe.expire(name, queues.JOB_TTL_S)
        pipe.execute()
    watch = Stopwatch()
    try:
        with watch.timed(phase):
            yield
    except Exception as error:
        outage = outage_of(error)
        reason = outage or Reason(
            code=getattr(error, "code", None) or ReasonCode.INTERNAL,
            message=str(error) if hasattr(error, "fix") else f"{type(error).__name__}: {error}",
        )
        metrics.count(
            metrics.ATTEMPTS_FAILED,
            phase=phase,
            code=reason.code.value,
            outage="yes" if outage is not None else "no",
        )
        log.warning(
            "attempt.failed",
            phase=phase,
            code=reason.code.value,
            error=reason.message,
            outage=outage is not None,
        )
        with suppress(RedisError), redis.pipeline(transaction=False) as pipe:
            pipe.hdel(name, mark)
            pipe.hset(name, "reason", reason.model_dump_json())
            pipe.hincrby(name, "faults" if outage is None else "outages", 1)
            pipe.expire(name, queues.JOB_TTL_S)
            pipe.execute(
                raise_on_error=False
            )  # what a full Redis refuses keeps nothing else undone
        raise
    watch.tell()
    with suppress(RedisError):  # what was to be done is done
        redis.hdel(name, mark)


def consuming(queue: str, job_id: str) -> dict[str, str]:
    """What a span says of a message taken from a queue."""
    return {
        "messaging.system": "redis",
        "messaging.destination.name": queue,
        "messaging.operation.type": "process",
        "unmask.job.id": job_id,
    }


def attempts(redis: "Redis", job_id: str, generation: int, phase: Phase) -> Attempts:
    """What is known of the attempts so far. Raises RedisError."""
    found: Any = redis.hgetall(queues.trouble(job_id, generation, phase))
    reason = found.get(b"reason")
    return Attempts(
        outages=int(found.get(b"outages", 0)),
        faults=int(found.get(b"faults", 0)),
        deaths=sum(key.startswith(_MARK.encode()) for key in found),
        reason=None if reason is None else Reason.model_validate_json(reason),
    )
