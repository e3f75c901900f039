"""Crops reach every plugin's group once, and never faster than they are scored."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from redis import Redis

from ingest.crop_store import pixels_of
from ingest.memory_publisher import MemoryPublisher
from ingest.owed import answer, delete_count, recount
from ingest.publish import RedisPublisher
from unmask import queues
from unmask.errors import ReasonCode
from unmask.messages import CropBatch, CropMeta, IngestClosed, PluginRef, Reason, Submission
from unmask.plugin import Images
from unmask.settings import Settings
from workers.scoring.write_scores import record_failures

SOLA = PluginRef(key="sola", weights="0123456789ab")
LRL = PluginRef(key="lrl", weights="ba9876543210")
SETTINGS = Settings(high_water_crops=10)


def submission(job_id: str = "job", plugins: tuple[PluginRef, ...] = (SOLA, LRL)) -> Submission:
    return Submission(
        job_id=job_id, path="/v.mp4", filename="v.mp4", plugins=plugins, crop_scale=1.6
    )


def batch(
    frames: range, job_id: str = "job", plugins: tuple[PluginRef, ...] = (SOLA, LRL)
) -> tuple[CropBatch, list[Images]]:
    metas, pixels = [], []
    for frame in frames:
        side = 8 + frame % 3
        metas.append(
            CropMeta(
                frame_index=frame,
                pts_ms=frame * 40,
                face_index=0,
                track_id=1,
                width=side,
                height=side,
                box=(1, 1, 5, 5),
                crop_to_frame=(1, 0, 0, 0, 1, 0),
                face_px=64,
                detector_score=0.9,
            )
        )
        pixels.append(np.full((side, side, 3), frame, dtype=np.uint8))
    return CropBatch(job_id=job_id, generation=0, plugins=plugins, crops=tuple(metas)), pixels


def closing(crops: int, job_id: str = "job", error: Reason | None = None) -> IngestClosed:
    return IngestClosed(job_id=job_id, generation=0, crops=crops, plugins=(SOLA, LRL), error=error)


class OnRedis:
    """What a test wants to know of the real thing."""

    def __init__(self, redis: "Redis", sleep: Callable[[float], None] | None = None) -> None:
        self.redis = redis
        extra = {} if sleep is None else {"sleep": sleep}
        self.publisher = RedisPublisher(redis, SETTINGS, **extra)

    def again(self) -> RedisPublisher:
        return RedisPublisher(self.redis, SETTINGS)

    def keys(self) -> list[str]:
        """Every crop in the stream, as often as it is there."""
        found: Any = self.redis.xrange(queues.CROPS)
        return sorted(
            meta.key
            for _, fields in found
            for meta in CropBatch.model_validate_json(fields[b"meta"]).crops
        )

    def answer(self, *keys: str) -> None:
        for ref in (SOLA, LRL):
            answer(self.redis, ("job", 0), ref.slug, keys)
            self.redis.hset(queues.scores("job", 0, ref.slug), mapping=dict.fromkeys(keys, "{}"))


class InMemory:
    """The same of the fake."""

    def __init__(self, sleep: Callable[[float], None] | None = None) -> None:
        self.publisher = MemoryPublisher(high_water_crops=10, sleep=sleep)

    def again(self) -> MemoryPublisher:
        return self.publisher

    def keys(self) -> list[str]:
        return sorted(self.publisher.crops)

    def answer(self, *keys: str) -> None:
        self.publisher.answered.update(keys)


Services = OnRedis | InMemory
Make = Callable[..., Services]


@pytest.fixture(params=["redis", "memory"])
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "memory":
        return InMemory
    redis = request.getfixturevalue("redis")
    return lambda *args: OnRedis(redis, *args)


def test_every_crop_arrives_once(make: Make) -> None:
    services = make()
    services.publisher.begin(submission())
    services.publisher.publish(*batch(range(4)))
    services.publisher.publish(*batch(range(4, 6)))
    services.publisher.close(closing(6))
    assert services.keys() == [f"{i}:0" for i in range(6)]


def test_a_second_run_of_the_same_job_adds_only_what_was_missing(make: Make) -> None:
    services = make()
    services.publisher.begin(submission())
    services.publisher.publish(*batch(range(3)))
    again = services.again()
    again.begin(submission())
    again.publish(*batch(range(3)))
    again.publish(*batch(range(3, 5)))
    again.close(closing(5))
    assert services.keys() == [f"{i}:0" for i in range(5)]


def test_what_a_second_run_no_longer_finds_is_withdrawn(make: Make) -> None:
    services = make()
    services.publisher.begin(submission())
    services.publisher.publish(*batch(range(3)))
    services.answer("0:0", "1:0", "2:0")
    again = services.again()
    again.begin(submission())
    again.publish(*batch(range(7, 9)))
    again.close(closing(2))
    assert services.keys() == ["7:0", "8:0"]
    assert again.lag() == 2


def test_publishing_waits_until_the_slowest_plugin_has_room(make: Make) -> None:
    waits = 0

    def somebody_scores(seconds: float) -> None:
        nonlocal waits
        assert seconds < 1.0
        waits += 1
        if waits == 3:
            services.answer(*(f"{i}:0" for i in range(8)))

    services = make(somebody_scores)
    services.publisher.begin(submission())
    services.publisher.publish(*batch(range(8)))
    assert waits == 0
    services.publisher.publish(*batch(range(8, 16)))
    assert waits == 3
    assert services.publisher.lag() == 8
    assert len(services.keys()) == 16


def test_crops_that_no_plugin_scores_are_added_all_the_same(redis: "Redis") -> None:
    publisher = RedisPublisher(redis, SETTINGS)
    publisher.begin(submission(plugins=()))
    publisher.publish(*batch(range(3), plugins=()))
    assert redis.xlen(queues.CROPS) == 1
    assert publisher.lag() == 0


def test_a_group_larger_than_the_mark_passes_when_nothing_is_owed(make: Make) -> None:
    services = make(lambda _: pytest.fail("waited"))
    services.publisher.begin(submission())
    services.publisher.publish(*batch(range(12)))
    assert len(services.keys()) == 12


@pytest.mark.parametrize("kind", ["shm", "redis"])
def test_pixels_travel_untouched_and_in_order(
    redis: "Redis", kind: Literal["shm", "redis"]
) -> None:
    publisher = RedisPublisher(redis, SETTINGS.model_copy(update={"crop_store": kind}))
    publisher.begin(submission())
    sent, pixels = batch(range(5))
    publisher.publish(sent, pixels)
    found: Any = redis.xrange(queues.CROPS)
    ((entry_id, fields),) = found
    assert CropBatch.model_validate_json(fields[b"meta"]) == sent
    assert (b"pixels" in fields) == (kind == "redis")
    raw, at = pixels_of(fields), 0
    for meta, image in zip(sent.crops, pixels, strict=True):
        size = meta.width * meta.height * 3
        seen = raw[at : at + size].reshape(meta.height, meta.width, 3)
        assert np.array_equal(seen, image)
        at += size
    assert at == len(raw)
    assert redis.smembers(queues.entries("job", 0)) == {entry_id}


def test_groups_are_there_before_the_first_crop_and_read_from_the_start(redis: "Redis") -> None:
    publisher = RedisPublisher(redis, SETTINGS)
    publisher.begin(submission())
    publisher.publish(*batch(range(2)))
    for ref in (SOLA, LRL):
        reply: Any = redis.xreadgroup(ref.slug, "w", {queues.CROPS: ">"})
        assert len(reply[0][1]) == 1


def test_a_group_that_is_there_keeps_its_place(redis: "Redis") -> None:
    first = RedisPublisher(redis, SETTINGS)
    first.begin(submission())
    first.publish(*batch(range(2)))
    redis.xreadgroup(SOLA.slug, "w", {queues.CROPS: ">"})
    RedisPublisher(redis, SETTINGS).begin(submission("other"))
    assert redis.xreadgroup(SOLA.slug, "w", {queues.CROPS: ">"}) in ([], {})


def test_other_jobs_of_the_same_plugin_count_and_of_others_do_not(redis: "Redis") -> None:
    one, other = RedisPublisher(redis, SETTINGS), RedisPublisher(redis, SETTINGS)
    one.begin(submission("a", (SOLA,)))
    one.publish(*batch(range(4), "a", (SOLA,)))
    other.begin(submission("b", (LRL,)))
    assert (one.lag(), other.lag()) == (4, 0)
    other.publish(*batch(range(3), "b", (LRL,)))
    both = RedisPublisher(redis, SETTINGS)
    both.begin(submission("c"))
    assert both.lag() == 4


def test_a_job_that_is_over_holds_nobody_up(redis: "Redis") -> None:
    publisher = RedisPublisher(redis, SETTINGS)
    for job_id in ("settled", "forgotten"):
        publisher.begin(submission(job_id))
        publisher.publish(*batch(range(3), job_id))
    assert publisher.lag() == 6
    delete_count(redis, ("settled", 0))
    assert publisher.lag() == 3
    delete_count(redis, ("forgotten", 0))
    delete_count(redis, ("forgotten", 0))
    assert publisher.lag() == 0


def test_asking_for_the_lag_costs_the_same_with_a_thousand_jobs_in_work(redis: "Redis") -> None:
    def commands() -> int:
        stats: Any = redis.info("commandstats")
        return sum(s["calls"] for name, s in stats.items() if name not in ("cmdstat_info",))

    publisher = RedisPublisher(redis, SETTINGS)
    publisher.begin(submission())
    spent = []
    for jobs in (0, 1000):
        with redis.pipeline() as pipe:
            for number in range(jobs):
                pipe.hset(queues.ACTIVE, f"job-{number}:0", "[]")
            pipe.execute()
        before = commands()
        publisher.lag()
        spent.append(commands() - before)
    assert spent[0] == spent[1] == 1


def test_a_recount_sets_counters_right_that_somebody_spoilt(redis: "Redis") -> None:
    publisher = RedisPublisher(redis, SETTINGS)
    publisher.begin(submission())
    publisher.publish(*batch(range(3)))
    redis.hset(queues.OWED, SOLA.slug, "900")
    recount(redis)
    assert publisher.lag() == 3


def test_crops_that_an_earlier_run_had_answered_are_not_owed_again(redis: "Redis") -> None:
    publisher = RedisPublisher(redis, SETTINGS)
    publisher.begin(submission(plugins=(SOLA,)))
    publisher.publish(*batch(range(3), plugins=(SOLA,)))
    answer(redis, ("job", 0), SOLA.slug, ["0:0", "1:0"])
    redis.hset(queues.scores("job", 0, SOLA.slug), mapping={"0:0": "{}", "1:0": "{}"})
    answer(redis, ("job", 0), SOLA.slug, ["0:0"])  # delivered twice, answered once
    assert publisher.lag() == 1
    redis.delete(queues.published("job", 0))
    publisher.begin(submission(plugins=(SOLA,)))  # its ingest runs again
    publisher.publish(*batch(range(3), plugins=(SOLA,)))
    assert publisher.lag() == 2, "one that was owed, and one that is owed once more"


def test_failures_count_as_answers(redis: "Redis") -> None:
    publisher = RedisPublisher(redis, SETTINGS)
    publisher.begin(submission(plugins=(SOLA,)))
    publisher.publish(*batch(range(3), plugins=(SOLA,)))
    reason = Reason(code=ReasonCode.PLUGIN_FAILED, message="no.")
    record_failures(redis, ("job", 0), SOLA.slug, ["0:0"], reason)
    assert publisher.lag() == 2


def test_people_are_told_how_far_it_is(redis: "Redis") -> None:
    publisher = RedisPublisher(redis, SETTINGS)
    publisher.begin(submission())
    publisher.progress("job", 0, phase="ingest", sampled=3, crops=2)
    assert redis.hget(queues.progress("job", 0), "sampled") == b"3"
    publisher.close(closing(2))
    assert redis.hgetall(queues.progress("job", 0)) == {
        b"phase": b"scoring",
        b"sampled": b"0",
        b"crops": b"2",
        b"crops_expected": b"2",
    }


def test_everything_a_job_leaves_expires(redis: "Redis") -> None:
    publisher = RedisPublisher(redis, SETTINGS)
    publisher.begin(submission())
    publisher.publish(*batch(range(3)))
    publisher.close(closing(3))
    left: Any = redis.keys(f"{queues.job_prefix()}*")
    assert len(left) == 6
    assert all(0 < redis.ttl(name) <= queues.JOB_TTL_S for name in left)


def test_a_failed_run_withdraws_nothing_but_says_why(redis: "Redis") -> None:
    publisher = RedisPublisher(redis, SETTINGS)
    publisher.begin(submission())
    publisher.publish(*batch(range(3)))
    again = RedisPublisher(redis, SETTINGS)
    again.begin(submission())
    failure = Reason(code=ReasonCode.DECODE_TIMEOUT, message="too slow.")
    again.close(closing(0, error=failure))
    raw: Any = redis.get(queues.closed("job", 0))
    assert IngestClosed.model_validate_json(raw).error == failure
    assert redis.hget(queues.progress("job", 0), "phase") == b"failed"
