"""Exactly one caller asks for the verdict, and only when every answer is in."""

import threading
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from unmask import queues
from unmask.errors import ReasonCode
from unmask.messages import IngestClosed, PluginRef, Reason
from workers.jobs.settle import VERDICT_JOB, enqueue_verdict, settle, verdict_job_name

SOLA = PluginRef(key="sola", weights="0123456789ab")
LRL = PluginRef(key="lrl", weights="ba9876543210")


def close(redis: "Redis", crops: int, **fields: Any) -> None:
    message = IngestClosed(
        job_id="job", generation=0, crops=crops, **({"plugins": (SOLA, LRL)} | fields)
    )
    redis.set(queues.closed("job", 0), message.model_dump_json())


def score(redis: "Redis", ref: PluginRef, *keys: str) -> None:
    redis.hset(queues.scores("job", 0, ref.slug), mapping=dict.fromkeys(keys, "{}"))


def fail(redis: "Redis", ref: PluginRef, *keys: str) -> None:
    redis.hset(queues.failures("job", 0, ref.slug), mapping=dict.fromkeys(keys, "{}"))


def test_nothing_settles_before_ingest_has_closed(redis: "Redis") -> None:
    score(redis, SOLA, "0:0")
    score(redis, LRL, "0:0")
    assert not settle(redis, "job", 0)
    close(redis, 1)
    assert settle(redis, "job", 0)


def test_every_plugin_must_have_answered_every_crop(redis: "Redis") -> None:
    close(redis, 2)
    score(redis, SOLA, "0:0", "1:0")
    score(redis, LRL, "0:0")
    assert not settle(redis, "job", 0)
    fail(redis, LRL, "1:0")
    assert settle(redis, "job", 0)


def test_a_crop_that_failed_once_and_was_scored_later_is_one_answer(redis: "Redis") -> None:
    close(redis, 2, plugins=(SOLA,))
    fail(redis, SOLA, "0:0")
    score(redis, SOLA, "0:0")
    assert not settle(redis, "job", 0)
    score(redis, SOLA, "1:0")
    assert settle(redis, "job", 0)


def test_a_video_without_a_face_settles_at_once(redis: "Redis") -> None:
    close(redis, 0)
    assert settle(redis, "job", 0)


def test_a_failed_ingest_waits_for_no_score(redis: "Redis") -> None:
    close(redis, 5, error=Reason(code=ReasonCode.DECODE_TIMEOUT, message="too slow."))
    assert settle(redis, "job", 0)


def test_another_generation_is_another_job(redis: "Redis") -> None:
    close(redis, 0)
    assert not settle(redis, "job", 1)
    assert settle(redis, "job", 0)


@pytest.mark.parametrize("callers", [2, 16])
def test_exactly_one_of_many_callers_is_told(redis: "Redis", callers: int) -> None:
    close(redis, 1)
    score(redis, SOLA, "0:0")
    score(redis, LRL, "0:0")
    start = threading.Barrier(callers)
    told: list[bool] = []

    def ask() -> None:
        start.wait()
        told.append(settle(redis, "job", 0))

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [False] * (callers - 1) + [True]
    assert not settle(redis, "job", 0)


def test_a_settled_job_no_longer_counts_for_backpressure(redis: "Redis") -> None:
    redis.hset(queues.ACTIVE, "job:0", "[]")
    close(redis, 0)
    settle(redis, "job", 0)
    assert redis.hlen(queues.ACTIVE) == 0


def test_the_verdict_is_asked_for_under_one_name(redis: "Redis") -> None:
    enqueue_verdict(redis, "job", 3)
    enqueue_verdict(redis, "job", 3)
    queue = Queue(queues.VERDICT_QUEUE, connection=redis, serializer=JSONSerializer)
    job = queue.fetch_job(verdict_job_name("job", 3))
    assert job is not None
    assert job.func_name == VERDICT_JOB
    assert list(job.args) == ["job", 3]
