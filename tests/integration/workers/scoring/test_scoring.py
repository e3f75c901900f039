"""The scoring loop over a real stream: every crop answered once, whatever dies or chokes."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis import Redis

from ingest.crop_store import remove
from ingest.publish import RedisPublisher
from tests.fakes import KEY, POISON_SIDE, BrightnessDetector, install_brightness
from tests.unit.workers.making import crop
from unmask import queues
from unmask.errors import BundleRefused, ReasonCode
from unmask.messages import CropBatch, FaceScore, IngestClosed, PluginRef, Reason, Submission
from unmask.plugin import Floats, RawOutput, read_manifest
from unmask.settings import Settings
from workers.broker.lifesigns import served
from workers.jobs.settle import settle
from workers.scoring.consume import GroupConsumer
from workers.scoring.loop import Pace, PluginLoop
from workers.scoring.scorer import Scorer

REF = PluginRef(key=KEY, weights="1" * 12)
STRANGER = PluginRef(key="stranger", weights="2" * 12)
POISON = 24


class Engine:
    """Runs the detector itself and remembers the sizes of its batches."""

    name = "own-fp32"

    def __init__(self, detector: BrightnessDetector) -> None:
        self._detector = detector
        self.sizes: list[int] = []

    def infer(self, images: Floats) -> RawOutput:
        self.sizes.append(len(images))
        return self._detector.infer(images)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    folder = install_brightness(tmp_path)
    return Engine(BrightnessDetector.load(read_manifest(folder.parent / "manifest.toml"), None, ""))


def publish(
    redis: Redis,
    job_id: str,
    levels: Sequence[int],
    *,
    plugins: tuple[PluginRef, ...] = (REF,),
    group: int = 8,
    sides: dict[int, int] | None = None,
    close: bool = True,
    settled: list[str] | None = None,
) -> None:
    """One grey crop per level, by ingest's own publisher; `sides` gives some another size.

    `settled`: where scoring runs already, whoever answers last may do so before ingest closes; then
    it is ingest that finds the job settled.
    """
    publisher = RedisPublisher(redis, Settings())
    submission = Submission(job_id=job_id, path="/x", filename="x", plugins=plugins, crop_scale=1.3)
    publisher.begin(submission)
    for start in range(0, len(levels), group):
        metas, pixels = [], []
        for frame in range(start, min(start + group, len(levels))):
            side = (sides or {}).get(frame, 20)
            metas.append(crop(frame, width=side, height=side))
            pixels.append(np.full((side, side, 3), levels[frame], np.uint8))
        batch = CropBatch(job_id=job_id, generation=0, plugins=plugins, crops=tuple(metas))
        publisher.publish(batch, pixels)
    if close:
        publisher.close(
            IngestClosed(job_id=job_id, generation=0, crops=len(levels), plugins=plugins)
        )
        if settled is not None and settle(redis, job_id, 0):
            settled.append(job_id)


@contextmanager
def scoring(
    redis: Redis, load: Callable[[], Scorer], *, go_on: bool = False, **pace: Any
) -> Iterator[list[str]]:
    """A running loop; the list fills with the jobs that settled, as often as they did."""
    settled: list[str] = []
    stopping = threading.Event()
    loop = PluginLoop(
        redis,
        REF,
        "test-worker",
        load=load,
        settle=settle,
        on_settled=lambda job_id, _: settled.append(job_id),
        stopping=stopping,
        turn=threading.Lock(),
        pace=Pace(**({"delay_ms": 5.0} | pace)),
        go_on=go_on,
    )
    loop.start()
    try:
        yield settled
    finally:
        stopping.set()
        loop.join()
    assert loop.fault is None, loop.fault


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.01)


def scores_of(redis: Redis, job_id: str, ref: PluginRef = REF) -> dict[str, float]:
    raw = redis.hgetall(queues.scores(job_id, 0, ref.slug))
    return {k.decode(): FaceScore.model_validate_json(v).p for k, v in raw.items()}


def failures_of(redis: Redis, job_id: str) -> dict[str, Reason]:
    raw = redis.hgetall(queues.failures(job_id, 0, REF.slug))
    return {k.decode(): Reason.model_validate_json(v) for k, v in raw.items()}


def pending(redis: Redis) -> int:
    if not redis.exists(queues.CROPS):
        return 0
    return int(redis.xpending(queues.CROPS, REF.slug)["pending"])


def test_every_crop_gets_one_score_and_every_entry_is_acked(redis: Redis, engine: Engine) -> None:
    levels = list(range(0, 255, 8))
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine)) as settled:
        publish(redis, "a", levels, settled=settled)
        wait_for(lambda: settled == ["a"])
    expected = {f"{frame}:0": round(level / 255, 5) for frame, level in enumerate(levels)}
    assert scores_of(redis, "a") == pytest.approx(expected, abs=1e-5)
    assert redis.hlen(queues.maps("a", 0, REF.slug)) == len(levels)
    assert redis.smembers(queues.engines("a", 0, REF.slug)) == {b"own-fp32"}
    assert pending(redis) == 0
    assert max(engine.sizes) <= 8


def test_crops_of_several_videos_share_a_batch_and_each_video_settles_once(
    redis: Redis, engine: Engine
) -> None:
    for name in "abcd":
        publish(redis, name, [10, 20], group=2)
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine), group_crops=2) as settled:
        wait_for(lambda: sorted(settled) == ["a", "b", "c", "d"])
    assert engine.sizes == [8]
    assert all(len(scores_of(redis, name)) == 2 for name in "abcd")


def test_a_part_filled_batch_does_not_wait_for_company_for_ever(
    redis: Redis, engine: Engine
) -> None:
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine)) as settled:
        publish(redis, "a", [50], settled=settled)
        wait_for(lambda: settled == ["a"])
    assert engine.sizes == [1]


def test_a_poison_crop_fails_alone_and_the_job_settles(
    redis: Redis, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(POISON_SIDE, str(POISON))
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine)) as settled:
        publish(redis, "a", [10] * 8, sides={5: POISON}, settled=settled)
        wait_for(lambda: settled == ["a"])
    assert set(scores_of(redis, "a")) == {f"{i}:0" for i in range(8) if i != 5}
    failed = failures_of(redis, "a")
    assert set(failed) == {"5:0"}
    assert failed["5:0"].code is ReasonCode.PLUGIN_FAILED
    assert "a crop of 24 px" in failed["5:0"].message
    assert pending(redis) == 0


def test_a_plugin_that_cannot_be_loaded_refuses_its_crops_so_that_jobs_settle(
    redis: Redis,
) -> None:
    def load() -> Scorer:
        raise BundleRefused(KEY, "tampered with.")

    with scoring(redis, load) as settled:
        publish(redis, "a", [10] * 3, settled=settled)
        wait_for(lambda: settled == ["a"])
    assert {r.code for r in failures_of(redis, "a").values()} == {ReasonCode.BUNDLE_REFUSED}
    assert scores_of(redis, "a") == {}


class BrokenEngine(Engine):
    """Scores nothing any more, as a GPU that has fallen off its bus."""

    def infer(self, images: Floats) -> RawOutput:
        raise RuntimeError("device lost")


def test_an_engine_that_breaks_ends_its_worker_and_blames_no_crop(
    redis: Redis, engine: Engine
) -> None:
    broken = BrokenEngine(engine._detector)
    publish(redis, "a", [10] * 8)
    with (
        pytest.raises(AssertionError, match="device lost"),
        scoring(redis, lambda: Scorer(REF, engine._detector, broken)),
    ):
        wait_for(lambda: pending(redis) == 1)
    assert failures_of(redis, "a") == {}
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine), claim_idle_ms=50) as settled:
        wait_for(lambda: settled == ["a"])
    assert len(scores_of(redis, "a")) == 8


def test_where_there_is_no_other_worker_a_broken_engine_refuses_its_crops(
    redis: Redis, engine: Engine
) -> None:
    broken = BrokenEngine(engine._detector)
    publish(redis, "a", [10] * 8)
    with scoring(
        redis, lambda: Scorer(REF, engine._detector, broken), go_on=True, claim_idle_ms=50
    ) as settled:
        wait_for(lambda: settled == ["a"])
    assert len(failures_of(redis, "a")) == 8


def test_entries_of_jobs_that_do_not_expect_the_plugin_are_acked_unread(
    redis: Redis, engine: Engine
) -> None:
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine)) as settled:
        publish(redis, "theirs", [10] * 3, plugins=(STRANGER,))
        publish(redis, "ours", [10], settled=settled)
        wait_for(lambda: settled == ["ours"])
    assert engine.sizes == [1]
    assert pending(redis) == 0
    assert not redis.exists(queues.scores("theirs", 0, REF.slug))


def test_a_new_plugin_still_finds_the_crops_that_were_there_before_it(
    redis: Redis, engine: Engine
) -> None:
    publish(redis, "a", [10] * 3)
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine)) as settled:
        wait_for(lambda: settled == ["a"])


def test_what_a_dead_worker_left_unacked_is_taken_over(redis: Redis, engine: Engine) -> None:
    publish(redis, "a", [10] * 20)
    dead = GroupConsumer(redis, REF.slug, "dead", claim_idle_ms=50)
    assert len(dead.read(2, 1)) == 2
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine), claim_idle_ms=50) as settled:
        wait_for(lambda: settled == ["a"])
    assert len(scores_of(redis, "a")) == 20
    assert pending(redis) == 0


def test_a_slow_worker_that_still_speaks_is_not_robbed(redis: Redis) -> None:
    publish(redis, "a", [10] * 8)
    slow = GroupConsumer(redis, REF.slug, "slow", claim_idle_ms=800)
    quick = GroupConsumer(redis, REF.slug, "quick", claim_idle_ms=800)
    assert slow.read(1, 1)
    for _ in range(4):
        time.sleep(0.4)
        slow.beat()  # what a worker does between batches
        assert quick.claim() is None
    time.sleep(1.0)
    assert quick.claim() is not None


def test_a_pending_entry_whose_crops_are_deleted_is_acked_and_forgotten(redis: Redis) -> None:
    publish(redis, "a", [10])
    dead = GroupConsumer(redis, REF.slug, "dead", claim_idle_ms=20)
    [entry] = dead.read(1, 1)
    redis.xdel(queues.CROPS, entry.id)
    time.sleep(0.05)
    heir = GroupConsumer(redis, REF.slug, "heir", claim_idle_ms=20)
    assert heir.claim() is None
    assert pending(redis) == 0


def died_over_the_first(redis: Redis, *names: str) -> None:
    """Workers of these names take the stream's oldest entry, one after the other, and are silent."""
    for name in names:
        victim = GroupConsumer(redis, REF.slug, name, claim_idle_ms=20)
        taken = victim.claim() or victim.read(1, 1)[0]
        assert taken.batch.crops[0].frame_index == 0
        time.sleep(0.05)


def test_over_a_group_that_killed_two_workers_the_third_goes_crop_by_crop(
    redis: Redis, engine: Engine
) -> None:
    publish(redis, "a", [10] * 16)
    died_over_the_first(redis, "first", "second")
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine), claim_idle_ms=20) as settled:
        wait_for(lambda: settled == ["a"])
    assert engine.sizes.count(1) == 8
    assert len(scores_of(redis, "a")) == 16
    assert pending(redis) == 0


def test_the_first_crop_that_three_dead_workers_left_unanswered_is_a_dead_letter_and_no_other(
    redis: Redis, engine: Engine
) -> None:
    publish(redis, "a", [10] * 16)
    died_over_the_first(redis, "first", "second", "third")
    answered = FaceScore(
        crop=crop(0), plugin=REF, p=0.5, map_height=1, map_width=1,
        map_to_frame=(1, 0, 0, 0, 1, 0), entry_id="0-0",
    )  # fmt: skip
    redis.hset(queues.scores("a", 0, REF.slug), "0:0", answered.model_dump_json())
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine), claim_idle_ms=20) as settled:
        wait_for(lambda: settled == ["a"])
    [(killer, reason)] = failures_of(redis, "a").items()
    assert (killer, reason.code) == ("1:0", ReasonCode.DEAD_LETTER)
    assert set(scores_of(redis, "a")) == {f"{i}:0" for i in range(16)} - {"1:0"}
    [(_, letter)] = redis.xrange(queues.DEAD_LETTERS)
    batch = CropBatch.model_validate_json(letter[b"meta"])
    assert (batch.job_id, [meta.key for meta in batch.crops]) == ("a", ["1:0"])
    assert pending(redis) == 0


def test_a_group_over_which_four_died_is_a_dead_letter_before_it_is_acked_and_its_job_says_so(
    redis: Redis, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(redis, "a", [10] * 16)
    died_over_the_first(redis, "first", "second", "third", "fourth")
    seen: list[int] = []
    bury = GroupConsumer.bury

    def watched(self: GroupConsumer, entry: Any, why: str) -> None:
        seen.append(pending(redis))
        self.ack, ack = lambda ids: seen.append(redis.xlen(queues.DEAD_LETTERS)), self.ack  # type: ignore[method-assign]
        bury(self, entry, why)
        ack([entry.id])
        self.ack = ack  # type: ignore[method-assign]

    monkeypatch.setattr(GroupConsumer, "bury", watched)
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine), claim_idle_ms=20) as settled:
        wait_for(lambda: settled == ["a"])
    assert seen == [1, 1], "still pending when buried, and in the dead letters when acked"
    assert {r.code for r in failures_of(redis, "a").values()} == {ReasonCode.DEAD_LETTER}
    assert len(failures_of(redis, "a")) == 8
    assert set(scores_of(redis, "a")) == {f"{i}:0" for i in range(8, 16)}
    [(_, letter)] = redis.xrange(queues.DEAD_LETTERS)
    assert CropBatch.model_validate_json(letter[b"meta"]).job_id == "a"
    assert pending(redis) == 0


def test_a_crop_scored_after_another_delivery_failed_is_a_score_and_no_failure(
    redis: Redis, engine: Engine
) -> None:
    name = queues.failures("a", 0, REF.slug)
    reason = Reason(code=ReasonCode.DEAD_LETTER, message="died")
    redis.hset(name, "0:0", reason.model_dump_json())
    publish(redis, "a", [10] * 2)
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine)) as settled:
        wait_for(lambda: settled == ["a"])
    assert failures_of(redis, "a") == {}
    assert len(scores_of(redis, "a")) == 2


def test_a_worker_tells_that_it_is_alive_and_gives_up_its_name_when_it_ends(
    redis: Redis, engine: Engine
) -> None:
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine)) as settled:
        publish(redis, "a", [10], settled=settled)
        wait_for(lambda: settled == ["a"])
        assert served(redis, ["stranger@0"]) == {REF.slug: True, "stranger@0": False}
    assert redis.xinfo_consumers(queues.CROPS, REF.slug) == []


def test_a_redis_that_was_emptied_under_the_worker_is_worked_for_again(
    redis: Redis, engine: Engine
) -> None:
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine)) as settled:
        publish(redis, "a", [10], settled=settled)
        wait_for(lambda: settled == ["a"])
        redis.flushall()
        publish(redis, "b", [10], settled=settled)
        wait_for(lambda: settled == ["a", "b"])


def test_crops_whose_pixels_are_gone_are_cut_again(redis: Redis, engine: Engine) -> None:
    publish(redis, "job", [10, 200])
    remove(redis.smembers(queues.references("job", 0)))  # the host restarted
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine)):
        wait_for(lambda: not redis.exists(queues.closed("job", 0)))
        wait_for(lambda: pending(redis) == 0)
        assert redis.hlen(queues.published("job", 0)) == 0
        publish(redis, "job", [10, 200])  # the sweeper lets ingest run again
        wait_for(lambda: len(scores_of(redis, "job")) == 2)
    assert redis.hget(queues.OWED, REF.slug) == b"0"


def test_crops_in_another_hosts_memory_fail_with_the_setting_to_change(
    redis: Redis, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(redis, "job", [10])
    monkeypatch.setattr("ingest.crop_store.host", lambda: "another-host")
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine)) as settled:
        wait_for(lambda: settled == ["job"])
    assert "UNMASK_CROP_STORE=redis" in failures_of(redis, "job")["0:0"].message


def test_a_damaged_entry_fails_its_crops_and_its_job_settles(redis: Redis, engine: Engine) -> None:
    publish(redis, "job", [10])
    (entry_id, fields), *_ = redis.xrange(queues.CROPS)
    redis.xdel(queues.CROPS, entry_id)
    damaged = fields | {queues.FIELD_PIXELS.encode(): b"half of a pictu"}
    damaged.pop(queues.FIELD_REFERENCE.encode(), None)
    redis.xadd(queues.CROPS, damaged)
    with scoring(redis, lambda: Scorer(REF, engine._detector, engine)) as settled:
        wait_for(lambda: settled == ["job"])
        wait_for(lambda: pending(redis) == 0)
    assert "damaged" in failures_of(redis, "job")["0:0"].message
