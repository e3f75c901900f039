"""Write what became of crops to Redis: each (crop, plugin) holds one score or one failure.

Idempotent: written again after a crash, the same field gets the same value. A score and a failure
never stand side by side, for both count as answered.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from redis import Redis

from ingest.owed import answer
from unmask import queues
from unmask.messages import PluginRef, Reason
from workers.scoring.scorer import ScoredCrop

Job = tuple[str, int]

#: A failure never displaces a score that another delivery of the same crop wrote.
_FAIL = """
for i = 1, #ARGV - 1, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
end
redis.call('EXPIRE', KEYS[2], ARGV[#ARGV])
"""


def record(
    redis: "Redis",
    ref: PluginRef,
    outcomes: Sequence[ScoredCrop],
    engine: str | None,
    acked: Sequence[str] = (),
) -> list[Job]:
    """Write outcomes in one transaction; the jobs they belong to, each once, in order.

    `acked`: entries that are answered for with these: never to be delivered again.
    """
    by_job: dict[Job, list[ScoredCrop]] = defaultdict(list)
    for outcome in outcomes:
        by_job[outcome.item.job_id, outcome.item.generation].append(outcome)
    with redis.pipeline(transaction=True) as pipe:
        for job, found in by_job.items():
            _write(pipe, job, ref, found, engine)
        if acked:
            pipe.xack(queues.CROPS, ref.slug, *acked)
        pipe.execute()
    return list(by_job)


def _write(
    pipe: Any, job: Job, ref: PluginRef, found: list[ScoredCrop], engine: str | None
) -> None:
    job_id, generation = job
    scores = queues.scores(job_id, generation, ref.slug)
    failures = queues.failures(job_id, generation, ref.slug)
    good = [(o.item.meta.key, o.score, o.heatmap) for o in found if o.score is not None]
    answer(pipe, job, ref.slug, [outcome.item.meta.key for outcome in found])
    if good:
        maps = queues.maps(job_id, generation, ref.slug)
        engines = queues.engines(job_id, generation, ref.slug)
        pipe.hset(scores, mapping={key: score.model_dump_json() for key, score, _ in good})
        pipe.hset(maps, mapping={key: heatmap for key, _, heatmap in good})
        pipe.hdel(failures, *(key for key, _, _ in good))
        if engine is not None:
            pipe.sadd(engines, engine)
        for name in (scores, maps, engines):
            pipe.expire(name, queues.JOB_TTL_S)
    bad = [(o.item.meta.key, o.failure) for o in found if o.failure is not None]
    if bad:
        _fail(pipe, scores, failures, bad)


def record_failures(
    redis: "Redis", job: Job, slug: str, keys: Iterable[str], reason: Reason
) -> None:
    """Note crops that a plugin never answered for."""
    scores = queues.scores(*job, slug)
    failures = queues.failures(*job, slug)
    names = list(keys)
    with redis.pipeline(transaction=True) as pipe:
        answer(pipe, job, slug, names)
        _fail(pipe, scores, failures, [(key, reason) for key in names])
        pipe.execute()


def _fail(client: Any, scores: str, failures: str, bad: list[tuple[str, Reason]]) -> None:
    flat = [part for key, reason in bad for part in (key, reason.model_dump_json())]
    client.eval(_FAIL, 2, scores, failures, *flat, queues.JOB_TTL_S)
