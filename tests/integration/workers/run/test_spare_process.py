"""A job goes to the process that was loaded for it, one job to each, and to another where it died."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from ingest.sandbox.process import TEMPLATE
from tests.integration.workers.run.borrowing import template
from workers.run.rq_worker import UnmaskWorker

QUEUE = "spare-test"


@pytest.fixture
def queue(redis_url: str) -> Iterator[Queue]:
    with Redis.from_url(redis_url) as redis:
        yield Queue(QUEUE, connection=redis, serializer=JSONSerializer)


@contextmanager
def working(url: str, ready: str | None) -> Iterator[UnmaskWorker]:
    made = UnmaskWorker([QUEUE], url, ready=ready)
    made.keep_spare()
    try:
        yield made
    finally:
        made.end_spare()
        made.connection.close()


@pytest.fixture
def worker(redis_url: str) -> Iterator[UnmaskWorker]:
    with working(redis_url, "workers.jobs.entrypoints") as made:
        yield made


def pids(worker: UnmaskWorker, queue: Queue, jobs: int = 1) -> list[int]:
    """In which processes so many jobs ran."""
    enqueued = [queue.enqueue("os.getpid") for _ in range(jobs)]
    worker.work(burst=True, with_scheduler=False)
    return [job.return_value(refresh=True) for job in enqueued]


def spare_of(worker: UnmaskWorker) -> int:
    assert worker._spare is not None and worker._spare.pid is not None
    return worker._spare.pid


def until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_job_has_the_process_that_was_loaded_for_it(worker: UnmaskWorker, queue: Queue):
    loaded = spare_of(worker)
    first, second = pids(worker, queue, jobs=2)
    assert first == loaded
    assert len({first, second, spare_of(worker), os.getpid()}) == 4
    left = spare_of(worker)
    worker.end_spare()
    assert not psutil.pid_exists(left)


def test_a_spare_process_that_died_costs_no_job(worker: UnmaskWorker, queue: Queue):
    dead = spare_of(worker)
    os.kill(dead, signal.SIGKILL)
    until_gone(dead)  # the nursery has seen it end
    (ran_in,) = pids(worker, queue)
    assert ran_in not in {dead, os.getpid()}


def test_jobs_that_follow_at_once_are_forked_too(worker: UnmaskWorker, queue: Queue):
    assert worker._nursery is not None
    nursery = psutil.Process(worker._nursery.pid)
    spare_of(worker)
    enqueued = [queue.enqueue("os.getppid") for _ in range(5)]
    worker.work(burst=True, with_scheduler=False)
    assert {job.return_value(refresh=True) for job in enqueued} == {nursery.pid}


def test_a_job_does_not_wait_for_a_nursery_that_still_loads(redis_url: str, queue: Queue):
    with working(redis_url, "tests.integration.workers.run.slow_to_load") as worker:
        assert pids(worker, queue) != [os.getpid()]
        assert worker._spare is not None and not worker._spare.is_there


def test_a_nursery_that_died_costs_no_job_and_another_one_follows(
    worker: UnmaskWorker, queue: Queue
):
    assert worker._nursery is not None
    first, waiting = worker._nursery.pid, spare_of(worker)
    os.kill(first, signal.SIGKILL)
    until_gone(waiting)  # it ends with the nursery
    assert pids(worker, queue) not in ([waiting], [os.getpid()])
    assert worker._nursery is not None and worker._nursery.pid != first
    ready = spare_of(worker)
    assert pids(worker, queue) == [ready]


def test_a_job_whose_nursery_died_is_over_and_counts_as_killed(worker: UnmaskWorker, queue: Queue):
    assert worker._nursery is not None
    job = queue.enqueue("time.sleep", 600)
    running = spare_of(worker)
    threading.Timer(1.0, os.kill, (worker._nursery.pid, signal.SIGKILL)).start()
    worker.work(burst=True, with_scheduler=False)
    assert job.get_status(refresh=True) == "failed"
    until_gone(running)


def test_a_nursery_with_threads_forks_nothing(redis_url: str, queue: Queue):
    with working(redis_url, "tests.integration.workers.run.threaded") as worker:
        assert worker._spare is not None and worker._spare.pid is None
        assert pids(worker, queue) != [os.getpid()]
        assert worker._nursery is None  # and no other is tried: it would be no better


def test_without_a_module_to_load_no_process_waits(redis_url: str, queue: Queue):
    with working(redis_url, None) as worker:
        assert worker._spare is None
        assert pids(worker, queue) != [os.getpid()]


@pytest.mark.parametrize("ready", ["workers.jobs.entrypoints", None])
def test_jobs_have_their_decoders_from_the_workers_template(
    redis_url: str, queue: Queue, ready: str | None, monkeypatch: pytest.MonkeyPatch
):
    """Those that a nursery forks, and those that load everything themselves."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    TEMPLATE.end()
    TEMPLATE.lend()
    ours = template()
    with working(redis_url, ready) as worker:
        if ready:
            spare_of(worker)
        jobs = [queue.enqueue("tests.integration.workers.run.borrowing.template") for _ in range(2)]
        worker.work(burst=True, with_scheduler=False)
        assert {job.return_value(refresh=True) for job in jobs} == {ours}
    TEMPLATE.end()
