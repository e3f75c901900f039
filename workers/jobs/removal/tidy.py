"""What the sweeper clears away: crops nobody asks for again, and names of dead consumers."""

from typing import Any

from redis import Redis

from unmask import queues
from unmask.messages import JobState
from workers.scoring.entry import batch_of
from workers.store import Store

#: A consumer that owes nothing and was silent for so long is taken off the list.
_CONSUMER_FORGOTTEN_MS = 3600 * 1000
#: Look at so many of the oldest entries for crops that nobody will ask for again.
_OLDEST = 8


def delete_orphans(redis: "Redis", store: Store) -> int:
    """Delete the oldest entries while their jobs are finished or gone; how many."""
    deleted = 0
    found: Any = redis.xrange(queues.CROPS, count=_OLDEST)
    for entry_id, fields in found:
        owner = _owner(fields)
        row = store.job(owner[0]) if owner else None
        open_states = (JobState.QUEUED, JobState.RUNNING)
        if row and owner and row.generation == owner[1] and row.state in open_states:
            break
        deleted += int(redis.xdel(queues.CROPS, entry_id))
    return deleted


def _owner(fields: dict[bytes, bytes]) -> tuple[str, int] | None:
    """Job and generation of an entry, without touching its pixels."""
    try:
        batch = batch_of(fields)
    except ValueError:
        return None
    return batch.job_id, batch.generation


def delete_consumers(redis: "Redis") -> int:
    """Take dead consumers that owe nothing off their groups; how many."""
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
