"""kill -9 in mid-batch and in mid-video: every video still gets exactly one, and the same, verdict."""

import time
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import create_engine, func, select

from tests.fakes import KEY, SLOW_MS
from tests.integration.workers.clips import pan
from tests.integration.workers.crew import Crew
from tests.integration.workers.handing_in import kept_scores, submit
from unmask import queues
from unmask.messages import JobState
from unmask.settings import Settings
from workers.run.local import LocalPipeline
from workers.store import Store
from workers.store.sql_tables import VERDICTS

CLIPS = 2
SAMPLED = 8


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        database_url=None,
        data_dir=tmp_path / "data",
        face_detector="haar",
        sample=f"uniform:{SAMPLED}",
        plugins=(KEY,),
        weights_dir=None,
        group_crops=2,
        batch_size=4,
        high_water_crops=6,
    )


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    return [pan(tmp_path / f"{i}.mp4", start=7 * i, brightness=1.0 - 0.2 * i) for i in range(CLIPS)]


@pytest.fixture
def undisturbed(site: Path, settings: Settings, clips: list[Path]) -> list[str]:
    """The verdicts of the same clips where nobody dies: the other way through the same rooms."""
    with LocalPipeline(settings) as pipeline:
        verdicts = [outcome.verdict for outcome in pipeline.judge_all(clips)]
    assert all(verdict is not None and verdict.p_fake is not None for verdict in verdicts)
    return [verdict.canonical_json() for verdict in verdicts if verdict is not None]


def submit_all(store: Store, redis: Redis, settings: Settings, clips: list[Path]) -> list[str]:
    return [submit(store, redis, settings, clip).id for clip in clips]


def finished(store: Store, ids: list[str]) -> bool:
    rows = [store.job(job_id) for job_id in ids]
    return all(row is not None and row.state is JobState.SUCCEEDED for row in rows)


def verdicts_of(store: Store, ids: list[str]) -> list[str]:
    found = [store.verdict(job_id) for job_id in ids]
    assert all(found)
    return [verdict.canonical_json() for verdict in found if verdict is not None]


def assert_one_verdict_each_and_nothing_left(
    store: Store, redis: Redis, ids: list[str], crew: Crew
) -> None:
    with create_engine(store.url).connect() as connection:
        assert connection.execute(select(func.count()).select_from(VERDICTS)).scalar() == len(ids)
    for job_id in ids:
        assert len(kept_scores(store, job_id)) == SAMPLED
    crew.wait_for(lambda: redis.xlen(queues.CROPS) == 0)
    assert redis.xlen(queues.DEAD_LETTERS) == 0


@pytest.mark.slow
@pytest.mark.timeout(600)  # a dozen processes are started; on a busy machine each is slow
def test_a_scoring_process_killed_in_mid_batch_loses_no_crop_and_changes_no_verdict(
    redis: Redis, settings: Settings, clips: list[Path], crew: Crew, undisturbed: list[str]
) -> None:
    store = Store(settings.database())
    ids = submit_all(store, redis, settings, clips)
    for role in ("verdict", "ingest"):
        crew.start(role)
    crew.start("score", **{SLOW_MS: "100"})

    def in_mid_batch() -> bool:
        summary = redis.xpending(queues.CROPS, group()) if redis.exists(queues.CROPS) else None
        written = sum(redis.hlen(queues.scores(job_id, 0, group())) for job_id in ids)
        return bool(summary and summary["pending"] and written)

    crew.wait_for(in_mid_batch)
    crew.kill("score")
    assert redis.xpending(queues.CROPS, group())["pending"] > 0, "it died owing crops"
    assert not finished(store, ids)
    crew.start("score")
    crew.wait_for(lambda: finished(store, ids))
    assert verdicts_of(store, ids) == undisturbed
    assert_one_verdict_each_and_nothing_left(store, redis, ids, crew)
    assert "crops.claimed" in crew.log("score")
    store.close()


@pytest.mark.slow
@pytest.mark.timeout(600)  # a dozen processes are started; on a busy machine each is slow
def test_an_ingest_worker_killed_in_mid_video_loses_no_video_and_changes_no_verdict(
    redis: Redis, settings: Settings, clips: list[Path], crew: Crew, undisturbed: list[str]
) -> None:
    store = Store(settings.database())
    ids = submit_all(store, redis, settings, clips)
    for role in ("verdict", "ingest"):
        crew.start(role)
    # Without a scoring process ingest stops at the high-water mark, in the middle of the video.
    crew.wait_for(lambda: redis.xlen(queues.CROPS) == 3)
    assert not any(redis.exists(queues.closed(job_id, 0)) for job_id in ids)
    crew.kill("ingest")
    crew.start("score")
    crew.start("ingest")
    crew.wait_for(lambda: finished(store, ids))
    assert verdicts_of(store, ids) == undisturbed
    assert_one_verdict_each_and_nothing_left(store, redis, ids, crew)
    store.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_told_to_stop_in_mid_video_ends_in_time_and_another_finishes_it(
    redis: Redis, settings: Settings, clips: list[Path], crew: Crew, undisturbed: list[str]
) -> None:
    store = Store(settings.database())
    ids = submit_all(store, redis, settings, clips)
    crew.start("ingest", TEST_DRAIN_S="2")
    # Without a scoring process it would wait at the high-water mark for ever.
    crew.wait_for(lambda: redis.xlen(queues.CROPS) == 3)
    told = crew.processes.pop("ingest")
    begun = time.monotonic()
    told.terminate()
    assert told.wait(timeout=120) == 0, crew.log("ingest")
    assert time.monotonic() - begun < 60, "two seconds, and what a busy machine takes"
    assert "job.cut_off" in crew.log("ingest")
    for role in ("verdict", "score", "ingest"):
        crew.start(role)
    crew.wait_for(lambda: finished(store, ids))
    assert verdicts_of(store, ids) == undisturbed
    assert_one_verdict_each_and_nothing_left(store, redis, ids, crew)
    store.close()


def group() -> str:
    from detect_plugins.catalogue import load_catalogue

    return load_catalogue().get(KEY).ref(None).slug
