"""Give a job up: what is queued is not begun, what runs is stopped, its crops go."""

from redis import Redis

from unmask.errors import ReasonCode
from unmask.messages import JobState, Reason
from workers.jobs.orders.stop import stop_work
from workers.store import Store


def cancel(store: Store, redis: "Redis", job_id: str, *, actor: str = "operator") -> bool:
    """Cancel an unfinished job; False where there is none of that id, or it had finished.

    `actor`: who asked for it, for the audit. Raises StoreError, RedisError.
    """
    row = store.job(job_id)
    reason = Reason(code=ReasonCode.CANCELLED, message="It was cancelled.")
    # The database first: from here on no verdict of it can be stored.
    if row is None or not store.set_state(
        job_id, JobState.CANCELLED, [reason], generation=row.generation
    ):
        return False
    store.actions.add(row.tenant, actor, "job.cancel", job_id=job_id)
    stop_work(redis, row)
    return True
