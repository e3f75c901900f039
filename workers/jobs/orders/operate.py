"""An operator's hand on a job that waits or has ended: try it again."""

from contextlib import suppress

from redis import Redis
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.serializers import JSONSerializer

from unmask import queues
from unmask.errors import InputError, ReasonCode
from unmask.settings import Settings
from workers.jobs.in_rq import remove
from workers.jobs.orders.rerun import rerun
from workers.jobs.settle import verdict_job_name
from workers.jobs.submit import ingest_job_name
from workers.store import JobRow, Store


def retry(store: Store, redis: "Redis", settings: Settings, job_id: str) -> JobRow:
    """Run a finished job again, one generation up; try a waiting one now. The job as it then is.

    Raises InputError: not_found, or config_invalid where its media is gone; RedisError, StoreError.
    """
    row = store.job(job_id)
    if row is None:
        raise InputError(
            f"no job {job_id!r}.", code=ReasonCode.NOT_FOUND, fix="`unmask jobs list` lists them."
        )
    if not row.state.is_open:
        return rerun(store, redis, settings, job_id)
    # Absent from RQ, and with nothing held against it, it is the sweeper's to start.
    for phase in ("ingest", "verdict"):
        redis.delete(queues.trouble(row.id, row.generation, phase))
    for name in (
        ingest_job_name(row.id, row.generation),
        verdict_job_name(row.id, row.generation),
    ):
        with suppress(InvalidJobOperation, NoSuchJobError):
            send_stop_job_command(redis, name, serializer=JSONSerializer)
        remove(redis, name)
    return row
