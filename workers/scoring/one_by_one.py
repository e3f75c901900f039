"""An entry over which workers died is taken crop by crop, each answer written before the next crop is begun.

So the first crop without an answer is the one that was in hand when a worker died.
"""

from collections.abc import Sequence
from dataclasses import replace

from redis import Redis

from unmask import queues
from workers.scoring.entry import Entry


def unanswered(redis: "Redis", slug: str, entry: Entry) -> Entry:
    """The entry with those crops alone that have neither a score nor a failure. Raises RedisError."""
    job = (entry.batch.job_id, entry.batch.generation)
    keys = [meta.key for meta in entry.batch.crops]
    with redis.pipeline(transaction=True) as pipe:
        pipe.hmget(queues.scores(*job, slug), keys)
        pipe.hmget(queues.failures(*job, slug), keys)
        scored, failed = pipe.execute()
    return only(entry, [n for n in range(len(keys)) if scored[n] is None and failed[n] is None])


def only(entry: Entry, places: Sequence[int]) -> Entry:
    """The entry with the crops at these places alone."""
    metas = tuple(entry.batch.crops[n] for n in places)
    batch = entry.batch.model_copy(update={"crops": metas})
    return replace(entry, batch=batch, crops=tuple(entry.crops[n] for n in places))
