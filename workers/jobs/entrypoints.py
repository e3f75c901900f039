"""What RQ runs for the verdict role. Each may run twice, or be killed half way, without harm."""

from functools import cache

import structlog
from redis import Redis

from detect_plugins.catalogue import load_catalogue
from unmask import queues
from unmask.errors import ConfigError
from unmask.settings import Settings
from unmask.system import logs, tracing
from workers.broker.quota_counts import QuotaCounts
from workers.jobs.attempts import attempt, consuming
from workers.store import JobRow, Store
from workers.verdicts.gather import closing
from workers.verdicts.make import Services, make_verdict

log = structlog.get_logger(__name__)


def verdict_job(job_id: str, generation: int) -> None:
    """RQ's entry point: settled scores -> stored verdict, crops deleted."""
    settings = Settings()
    logs.configure(settings)
    redis = Redis.from_url(shared_url(settings))
    with (
        structlog.contextvars.bound_contextvars(job_id=job_id),
        attempt(redis, job_id, generation, "verdict"),
    ):
        services = services_from_environment()
        row = services.store.job(job_id)
        told = {} if row is None else {"tenant": row.tenant}
        with (
            structlog.contextvars.bound_contextvars(**told),
            tracing.span(
                "verdict",
                parent=None if row is None else row.submission.traceparent,
                kind="consumer",
                attributes=consuming(queues.VERDICT_QUEUE, job_id),
            ),
        ):
            if row is not None and row.generation == generation:
                count_fetched(redis, row)
            make_verdict(services, job_id, generation)


def count_fetched(redis: Redis, row: JobRow) -> None:
    """Charge the job's tenant and key for what ingest fetched for it."""
    closed = closing(redis, row.id, row.generation)
    if closed is not None and row.submission.address is not None:
        whose = (f"tenant:{row.tenant}", row.submitted_by)
        QuotaCounts(redis).count_fetched(closed, [who for who in whose if who is not None])


def get_ready() -> None:
    """Importing this was all: connections are made when there is a job for them."""


@cache
def services_from_environment() -> Services:
    """Connections for one process, from UNMASK_ settings. Raises ConfigError, StoreError."""
    settings = Settings()
    logs.configure(settings)
    return Services(
        redis=Redis.from_url(shared_url(settings)),
        store=Store(settings.database()),
        catalogue=load_catalogue(),
        settings=settings,
    )


def shared_url(settings: Settings) -> str:
    """The Redis that several processes share. Raises ConfigError where none is named."""
    if settings.redis_url is None:
        raise ConfigError(
            "workers on their own share a Redis, and none is named.",
            fix="Set UNMASK_REDIS_URL, or run `unmask serve`, which starts one.",
        )
    return settings.redis_url
