"""When every expected score is in: who finds out first, and only that one, asks for the verdict.

Called after every batch of scores, by ingest when it closes, and by the sweeper. Atomic in Redis.
"""

from typing import Any

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from ingest.owed import delete_count
from unmask import queues
from unmask.messages import IngestClosed

#: Dotted name of the verdict role's job; ingest never imports workers.
VERDICT_JOB = "workers.jobs.entrypoints.verdict_job"
_PATIENCE_S = 1800

#: KEYS: closed, settled, then scores and failures per plugin. ARGV: crops owed, lifetime in s.
#: A crop that failed in one delivery and was scored in another is answered once, not twice.
_SETTLE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for k = 3, #KEYS, 2 do
  local answered = redis.call('HLEN', KEYS[k])
  for _, crop in ipairs(redis.call('HKEYS', KEYS[k + 1])) do
    if redis.call('HEXISTS', KEYS[k], crop) == 0 then answered = answered + 1 end
  end
  if answered < tonumber(ARGV[1]) then return 0 end
end
if redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[2]) then return 1 end
return 0
"""


def settle(redis: "Redis", job_id: str, generation: int) -> bool:
    """True for exactly one caller: ingest has closed and every plugin has answered for every crop.

    A job whose ingest failed is settled at once: its scores are of no use to anybody.
    """
    job = (job_id, generation)
    raw: Any = redis.get(queues.closed(*job))
    if raw is None:
        return False
    closed = IngestClosed.model_validate_json(raw)
    keys = [queues.closed(*job), queues.settled(*job)]
    if closed.error is None:
        for ref in closed.plugins:
            keys += [queues.scores(*job, ref.slug), queues.failures(*job, ref.slug)]
    found: Any = redis.eval(_SETTLE, len(keys), *keys, closed.crops, queues.JOB_TTL_S)
    if int(found) != 1:
        return False
    redis.hdel(queues.ACTIVE, f"{job_id}:{generation}")
    delete_count(redis, job)
    return True


def enqueue_verdict(redis: "Redis", job_id: str, generation: int) -> None:
    """Ask for the verdict. The RQ job's name is fixed: asked for twice, it is the same job."""
    Queue(queues.VERDICT_QUEUE, connection=redis, serializer=JSONSerializer).enqueue_call(
        VERDICT_JOB,
        args=(job_id, generation),
        job_id=verdict_job_name(job_id, generation),
        # No retry of RQ's: the sweeper decides, and an outage may last longer than any number.
        timeout=_PATIENCE_S,
        result_ttl=0,  # the job's row says how it went; nobody asks RQ
        failure_ttl=24 * 3600,
    )


def verdict_job_name(job_id: str, generation: int) -> str:
    """The name RQ knows this verdict by."""
    return f"verdict-{job_id}-{generation}"
