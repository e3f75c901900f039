"""An outage never ends a job: it waits, says why, and goes on; the media's own faults end it."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import OutOfMemoryError, ResponseError
from rq.job import Job
from rq.serializers import JSONSerializer

from detect_plugins.catalogue import load_catalogue
from tests.fakes import KEY
from tests.integration.workers.jobs.test_sweep import accept, answer, queued
from tests.integration.workers.scoring.test_scoring import publish
from unmask import queues
from unmask.errors import (
    DecodeFailed,
    DecoderKilled,
    InputError,
    Outage,
    PluginBroken,
    ReasonCode,
    StoreError,
)
from unmask.messages import JobState, PluginRef
from unmask.settings import Settings
from workers.broker.lifesigns import Silence
from workers.jobs.attempts import MAX_DEATHS, MAX_FAULTS, attempt, attempts
from workers.jobs.outages import outage_of
from workers.jobs.settle import settle, verdict_job_name
from workers.jobs.submit import enqueue_ingest, ingest_job_name
from workers.jobs.sweep import Sweeper
from workers.jobs.waiting import WaitingRoom
from workers.store import Store
from workers.verdicts.make import Services

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Clock:
    """Stands still until it is told otherwise."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def services(redis: Redis, site: Path, tmp_path: Path) -> Iterator[Services]:
    settings = Settings(data_dir=tmp_path / "data", database_url=None, weights_dir=None)
    store = Store(settings.database())
    yield Services(redis=redis, store=store, catalogue=load_catalogue(), settings=settings)
    store.close()


@pytest.fixture
def ref(services: Services) -> PluginRef:
    return services.catalogue.get(KEY).ref(None)


def stop(services: Services, job_id: str, error: Exception) -> None:
    """An attempt at the ingest of a queued job that ends in `error`, as RQ leaves it."""
    name = ingest_job_name(job_id, 0)
    with pytest.raises(type(error)), attempt(services.redis, job_id, 0, "ingest"):
        raise error
    job = Job.fetch(name, connection=services.redis, serializer=JSONSerializer)
    job.set_status("failed")
    services.redis.delete(f"rq:queue:{queues.INGEST_QUEUE}")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FULL, ReasonCode.DISK_FULL),
        (OSError(errno.EDQUOT, "quota"), ReasonCode.DISK_FULL),
        (OSError(errno.EFBIG, "limit on file size"), ReasonCode.DISK_FULL),
        (PermissionError(errno.EACCES, "denied"), ReasonCode.PERMISSION_DENIED),
        (OSError(errno.EROFS, "read-only"), ReasonCode.PERMISSION_DENIED),
        (OSError(errno.EMFILE, "too many open files"), ReasonCode.OUT_OF_RESOURCES),
        (OSError(errno.EIO, "I/O error"), ReasonCode.DEVICE_UNAVAILABLE),
        (MemoryError(), ReasonCode.OUT_OF_MEMORY),
        (ConnectionResetError(), ReasonCode.NETWORK_UNAVAILABLE),
        (RedisGone("gone"), ReasonCode.BROKER_UNAVAILABLE),
        (OutOfMemoryError("OOM"), ReasonCode.BROKER_UNAVAILABLE),
        (ResponseError("MISCONF"), ReasonCode.BROKER_UNAVAILABLE),
        (StoreError("database is locked"), ReasonCode.STORE_UNAVAILABLE),
        (Outage("the decoder did not start"), ReasonCode.OUT_OF_RESOURCES),
        (PluginBroken("sola", "not installed here"), ReasonCode.PLUGIN_BROKEN),
    ],
)
def test_the_machines_faults_are_outages_and_name_a_fix(error: Exception, code: ReasonCode) -> None:
    found = outage_of(error)
    assert found is not None and found.code is code
    wrapped = RuntimeError("while drawing")
    wrapped.__cause__ = error
    assert outage_of(wrapped) == found


@pytest.mark.parametrize(
    "error",
    [
        InputError("no video"),
        DecodeFailed("broken"),
        DecoderKilled("killed"),
        ValueError("a bug"),
        KeyError("x"),
        FileNotFoundError(errno.ENOENT, "gone"),
    ],
)
def test_the_medias_faults_and_bugs_are_not(error: Exception) -> None:
    assert outage_of(error) is None


def test_a_job_waits_through_any_number_of_outages_and_says_why(
    services: Services, ref: PluginRef
) -> None:
    clock = Clock()
    sweeper = Sweeper(services, clock=clock)
    accept(services, ref, "a")
    enqueue_ingest(services.redis, services.store.unfinished()[0].submission)
    for number in range(3 * MAX_FAULTS):
        stop(services, "a", FULL)
        clock.now += 0.1
        assert sweeper.sweep()["ingest_enqueued"] == 0, "not at once"
        assert sweeper.someone_waits
        row = services.store.job("a")
        assert row is not None and row.state is JobState.QUEUED
        [reason] = row.reasons
        assert reason.code is ReasonCode.DISK_FULL and "Free space" in reason.message
        clock.now += 16  # the longest that the first in line waits
        assert sweeper.sweep()["ingest_enqueued"] == 1, number
    assert queued(services.redis, queues.INGEST_QUEUE) == [ingest_job_name("a", 0)]
    publish(services.redis, "a", [9] * 2, plugins=(ref,))
    sweeper.sweep()
    row = services.store.job("a")
    assert row is not None and (row.state, row.reasons) == (JobState.RUNNING, ())
    assert not sweeper.someone_waits


def test_a_bug_is_tried_a_few_times_and_then_the_job_fails_with_its_cause(
    services: Services, ref: PluginRef
) -> None:
    clock = Clock()
    sweeper = Sweeper(services, clock=clock)
    accept(services, ref, "a")
    enqueue_ingest(services.redis, services.store.unfinished()[0].submission)
    for number in range(MAX_FAULTS):
        stop(services, "a", ValueError("a bug"))
        if number < MAX_FAULTS - 1:
            assert sweeper.sweep()["given_up"] == 0
            clock.now += 200
            assert sweeper.sweep()["ingest_enqueued"] == 1
    assert sweeper.sweep()["given_up"] == 1
    row = services.store.job("a")
    assert row is not None and row.state is JobState.FAILED
    assert "ValueError: a bug" in row.reasons[0].message
    assert "unmask jobs retry a" in row.reasons[0].message


def test_processes_that_die_are_forgiven_often_and_not_for_ever(
    services: Services, ref: PluginRef
) -> None:
    accept(services, ref, "a")
    name = queues.trouble("a", 0, "verdict")
    publish(services.redis, "a", [9] * 2, plugins=(ref,))
    answer(services.redis, "a", ref, 2)
    assert settle(services.redis, "a", 0)
    for number in range(MAX_DEATHS):
        services.redis.hset(name, f"under way {number}", "")
    sweeper = Sweeper(services)
    sweeper.sweep()
    assert sweeper.sweep()["verdict_enqueued"] == 1
    services.redis.delete(f"rq:job:{verdict_job_name('a', 0)}")
    services.redis.hset(name, "under way too", "")
    assert sweeper.sweep()["given_up"] == 1
    row = services.store.job("a")
    assert row is not None and row.reasons[0].code is ReasonCode.DEAD_LETTER


def test_an_attempt_is_counted_once_for_what_it_came_to(redis: Redis) -> None:
    with attempt(redis, "a", 0, "ingest"):
        assert attempts(redis, "a", 0, "ingest").deaths == 1, "until something is heard of it"
    with pytest.raises(OSError, match="space"), attempt(redis, "a", 0, "ingest"):
        raise FULL
    found = attempts(redis, "a", 0, "ingest")
    assert (found.outages, found.faults, found.deaths) == (1, 0, 0)
    assert 0 < redis.ttl(queues.trouble("a", 0, "ingest")) <= queues.JOB_TTL_S


def test_a_redis_that_fills_up_under_an_attempt_makes_no_death_of_it(redis: Redis) -> None:
    """Eleven such were taken for a video that kills its workers, and good jobs failed for ever."""
    try:
        with pytest.raises(OutOfMemoryError), attempt(redis, "a", 0, "ingest"):
            redis.config_set("maxmemory", 1)
            redis.set("crops", "")
    finally:
        redis.config_set("maxmemory", 0)
    assert attempts(redis, "a", 0, "ingest").deaths == 0


def test_waits_grow_to_minutes_and_the_first_in_line_scouts_for_all() -> None:
    clock = Clock()
    room = WaitingRoom(clock)
    assert not room.due("first", ReasonCode.DISK_FULL, 9)
    assert not room.due("second", ReasonCode.DISK_FULL, 9)
    clock.now += 15
    assert room.due("first", ReasonCode.DISK_FULL, 9)
    assert not room.due("second", ReasonCode.DISK_FULL, 9)
    assert not room.due("other", ReasonCode.STORE_UNAVAILABLE, 1)
    room.through("first")
    assert room.due("second", ReasonCode.DISK_FULL, 9), "the outage is over"
    assert not room.due("other", ReasonCode.STORE_UNAVAILABLE, 1), "not that one"
    clock.now += 5
    assert room.due("other", ReasonCode.STORE_UNAVAILABLE, 1)
    assert not room.due("third", ReasonCode.DISK_FULL, 9)
    clock.now += 119
    assert not room.due("third", ReasonCode.DISK_FULL, 9), "second is the scout now"
    clock.now += 1
    assert room.due("third", ReasonCode.DISK_FULL, 9)


def test_a_worker_that_died_before_the_clock_was_set_back_holds_no_job_for_an_hour(
    services: Services, ref: PluginRef
) -> None:
    clock = Clock()
    sweeper = Sweeper(services, clock=clock)
    accept(services, ref, "a")
    enqueue_ingest(services.redis, services.store.unfinished()[0].submission)
    services.redis.delete(f"rq:queue:{queues.INGEST_QUEUE}")
    in_an_hour = time.time() + 3600
    executions = f"rq:executions:{ingest_job_name('a', 0)}"
    services.redis.zadd(executions, {"run": in_an_hour})  # listed, and itself expired
    registry = f"rq:wip:{queues.INGEST_QUEUE}"
    services.redis.zadd(registry, {f"{ingest_job_name('a', 0)}:run": in_an_hour})
    assert not sweeper.sweep(), "a worker has it, though its process has not started yet"
    clock.now += 50
    services.redis.zadd(registry, {f"{ingest_job_name('a', 0)}:run": in_an_hour + 5})
    assert not sweeper.sweep(), "and lives"
    clock.now += 59
    assert not sweeper.sweep()
    clock.now += 2
    assert sweeper.sweep()["ingest_enqueued"] == 1
    assert not sweeper.sweep(), "it is in the queue, and in nobody's hands"


def test_silence_is_measured_without_a_wall_clock() -> None:
    clock = Clock()
    silence = Silence(clock)
    assert silence.seconds("a", 1) == 0
    clock.now += 40
    assert silence.seconds("a", 1) == 40
    assert silence.seconds("a", 2) == 0
    silence.keep([])
    assert silence.seconds("a", 2) == 0


def test_a_job_that_nobody_works_on_says_so_until_somebody_does(
    services: Services, ref: PluginRef
) -> None:
    clock = Clock()
    sweeper = Sweeper(services, clock=clock)
    accept(services, ref, "queued")
    enqueue_ingest(services.redis, services.store.unfinished()[0].submission)
    accept(services, ref, "unscored")
    publish(services.redis, "unscored", [9], plugins=(ref,))
    sweeper.sweep()
    clock.now += 90
    sweeper.sweep()
    for job_id, missing in (("queued", "worker ingest"), ("unscored", "worker score")):
        row = services.store.job(job_id)
        assert row is not None
        assert row.reasons[0].code is ReasonCode.NO_WORKER
        assert missing in row.reasons[0].message
    services.redis.set(queues.role("ingest"), "1", px=60_000)
    services.redis.set(queues.serving(ref.slug), "1", px=60_000)
    services.redis.sadd(queues.SERVED, ref.slug)
    sweeper.sweep()
    assert [row.reasons for row in services.store.unfinished()] == [(), ()]


def test_weights_that_were_replaced_are_given_up_sooner_than_a_plugin_that_is_away(
    services: Services, ref: PluginRef
) -> None:
    clock = Clock()
    sweeper = Sweeper(services, clock=clock)
    accept(services, ref, "a")
    publish(services.redis, "a", [9] * 3, plugins=(ref,))
    sweeper.sweep()
    clock.now += 3600
    assert sweeper.sweep()["plugin_given_up"] == 0, "an outage of its workers"
    other = f"{KEY}@{'f' * 12}"
    services.redis.sadd(queues.SERVED, other)
    services.redis.set(queues.serving(other), "1", px=60_000)
    assert sweeper.sweep()["plugin_given_up"] == 1
