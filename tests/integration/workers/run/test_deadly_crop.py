"""A crop that kills its scorer each time: one dead letter, everything else judged, driven again."""

import signal
from pathlib import Path

import pytest
from redis import Redis

from tests.fakes import DEADLY, KEY, TOLERANCE
from tests.integration.workers.clips import pan
from tests.integration.workers.crew import Crew
from tests.integration.workers.handing_in import kept_scores, submit
from unmask import queues
from unmask.messages import JobState
from unmask.settings import Settings
from workers.jobs.dead_letters import dead_letters, drive_again
from workers.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SAMPLED = 4


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        data_dir=tmp_path / "data",
        face_detector="haar",
        sample=f"uniform:{SAMPLED}",
        plugins=(KEY,),
        weights_dir=None,
        group_crops=2,
    )


def test_it_ends_as_one_dead_letter_and_is_driven_again_once_the_plugin_is_mended(
    redis: Redis, settings: Settings, tmp_path: Path, crew: Crew
) -> None:
    clips = [
        pan(tmp_path / f"{n}.mp4", start=7 * n, brightness=1.0 - 0.3 * n, frames=8)
        for n in range(2)
    ]
    store = Store(settings.database())
    for role in ("ingest", "score", "verdict"):
        crew.start(role)
    first = [submit(store, redis, settings, clip).id for clip in clips]
    crew.wait_for(lambda: finished(store, first))
    expected = [text(store, job_id) for job_id in first]
    scores = [p for job_id in first for p in kept_scores(store, job_id)]
    alone = max(scores[:SAMPLED], key=lambda p: sorted(abs(p - q) for q in scores)[1])
    assert sorted(abs(alone - q) for q in scores)[1] > 4 * TOLERANCE

    crew.kill("score")
    poison = {DEADLY: str(alone)}
    crew.start("score", **poison)
    deadly, other = (submit(store, redis, settings, clip).id for clip in clips)
    deaths = []

    def judged() -> bool:
        """And what a supervisor does meanwhile."""
        if (code := crew.processes["score"].poll()) is not None:
            deaths.append(code)
            crew.start("score", **poison)
        return finished(store, [deadly, other])

    # judged() sees to those that end; four starts take minutes on a machine that is busy.
    crew.wait_for(judged, 600, may_end={"score"})
    assert deaths == [-signal.SIGKILL] * queues.MAX_DELIVERIES
    [letter] = dead_letters(redis)
    assert (letter.job_id, len(letter.crops)) == (deadly, 1)
    assert text(store, other) == expected[1], "its neighbour lost nothing"
    assert len(kept_scores(store, deadly)) == SAMPLED - 1, "nor did those of its own group"

    crew.kill("score")
    crew.start("score")
    assert drive_again(store, redis, settings, letter.id).generation == 1
    crew.wait_for(lambda: finished(store, [deadly]) and store.verdict(deadly, 1) is not None)
    assert text(store, deadly) == expected[0]
    assert dead_letters(redis) == []
    store.close()


def finished(store: Store, ids: list[str]) -> bool:
    rows = [store.job(job_id) for job_id in ids]
    return all(row is not None and row.state is JobState.SUCCEEDED for row in rows)


def text(store: Store, job_id: str) -> str:
    verdict = store.verdict(job_id)
    assert verdict is not None
    return verdict.canonical_json()
