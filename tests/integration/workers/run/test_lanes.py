"""Lanes with a real Redis and the real worker, which here notes its jobs in the place of running them."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from redis import Redis
from rq import Queue
from rq.job import Job, JobStatus

from unmask.messages import Submission
from unmask.queues import INGEST_LANES
from unmask.requests.lanes import WEIGHTS, Priority, orders, turns
from workers.jobs.submit import enqueue_ingest
from workers.run.rq_worker import UnmaskWorker


class Noting(UnmaskWorker):
    """Notes which job it would run."""

    def __init__(self, url: str, after: Callable[[], None] = lambda: None) -> None:
        lanes = [INGEST_LANES[lane] for lane in WEIGHTS]
        in_order = ([INGEST_LANES[lane] for lane in order] for order in orders())
        super().__init__(lanes, url, orders=in_order)
        self.seen: list[str] = []
        self._after = after

    def execute_job(self, job: Job, queue: Queue) -> None:
        self.seen.append(job.args[0].split('"job_id":"')[1][0])
        job.set_status(JobStatus.FINISHED)
        self._after()


def _send(redis: Redis, lane: Priority, count: int) -> None:
    for number in range(count):
        sent = Submission(
            job_id=f"{lane[1]}{number}-{redis.incr('sent')}",
            path="/m",
            filename="m",
            plugins=(),
            crop_scale=1.3,
        )
        enqueue_ingest(redis, sent, priority=lane)


def _url(redis: Redis) -> str:
    return f"unix://{redis.connection_pool.connection_kwargs['path']}"


def test_lanes_are_served_by_weight_whoever_came_first(redis: Redis) -> None:
    for lane in ("low", "batch", "live"):
        _send(redis, lane, 24)
    worker = Noting(_url(redis))
    worker.work(burst=True, max_jobs=36)
    assert Counter(worker.seen) == {"i": 24, "a": 9, "o": 3}
    assert Counter(worker.seen[:12]) == {"i": 8, "a": 3, "o": 1}
    assert worker.seen[0] == "i"


def test_a_low_job_does_not_starve_while_urgent_ones_keep_coming(redis: Redis) -> None:
    _send(redis, "live", 5)
    _send(redis, "low", 2)
    worker = Noting(_url(redis), after=lambda: _send(redis, "live", 1))
    worker.work(burst=True, max_jobs=2 * len(turns()))
    assert worker.seen.count("o") == 2


def test_where_nothing_urgent_waits_nobody_stands_idle(redis: Redis) -> None:
    _send(redis, "low", 5)
    worker: Any = Noting(_url(redis))
    worker.work(burst=True)
    assert worker.seen == ["o"] * 5
