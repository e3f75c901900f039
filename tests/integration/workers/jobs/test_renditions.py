"""Renditions: ordered once, made from real HEVC, kept no longer than allowed, gone with their job."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from tests.fakes import KEY
from tests.integration.workers.crew import Crew
from tests.unit.ingest.clips import cut_short, numbered, write_clip
from unmask import queues
from unmask.errors import ReasonCode
from unmask.messages import JobState
from unmask.settings import Settings
from workers.jobs.removal.erase import erase
from workers.jobs.removal.retention import delete_expired, described
from workers.jobs.renditions.make_rendition import make
from workers.jobs.renditions.order_rendition import BeingMade, order, rendition_job_name
from workers.jobs.renditions.shelf import RenditionNote, Shelf
from workers.jobs.submit import create
from workers.run.supervisor import environment
from workers.store import JobRow, Store

UPLOAD = "0123456789abcdef" * 2
HEVC = {"x265-params": "log-level=none:pools=1"}


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return Settings(redis_url=redis_url, data_dir=tmp_path / "data", plugins=(KEY,))


@pytest.fixture
def store(settings: Settings, site: Path) -> Iterator[Store]:
    found = Store(settings.database())
    yield found
    found.close()


@pytest.fixture
def job(store: Store, settings: Settings) -> JobRow:
    """A job over an upload that no browser plays."""
    settings.uploads().mkdir(parents=True)
    path = settings.uploads() / UPLOAD
    clip = path.with_suffix(".mkv")
    write_clip(clip, numbered(10), codec="libx265", options=HEVC).rename(path)
    row, _ = create(store, settings, path, filename="clip.mkv")
    return row


def age(shelf: Shelf, job_id: str, seconds: float) -> None:
    for path in (shelf.video(job_id), shelf.video(job_id).with_suffix(".json")):
        if path.exists():
            os.utime(path, (time.time() - seconds,) * 2)


def files(settings: Settings) -> list[str]:
    return sorted(path.name for path in (settings.data_dir / "renditions").glob("*"))


def test_it_is_made_for_this_users_eyes_with_nothing_left_beside_it(
    job: JobRow, redis: Redis, settings: Settings
) -> None:
    make(job.submission, settings, redis)
    shelf = Shelf(settings)
    assert shelf.note(job.id) == RenditionNote(end_ms=360, whole=True)
    assert files(settings) == [f"{job.id}.json", f"{job.id}.webm"]
    assert shelf.video(job.id).stat().st_mode & 0o777 == 0o600
    assert shelf.video(job.id).parent.stat().st_mode & 0o777 == 0o700


def test_asked_twice_it_is_ordered_once_and_before_what_waits(
    job: JobRow, redis: Redis, settings: Settings
) -> None:
    assert order(redis, settings, job) == order(redis, settings, job) == BeingMade(state="queued")
    waiting = redis.lrange(f"rq:queue:{queues.INGEST_QUEUE}", 0, -1)
    assert waiting == [rendition_job_name(job.id).encode()]
    ordered = Job.fetch(waiting[0].decode(), connection=redis, serializer=JSONSerializer)
    assert job.path not in (ordered.description or ""), "RQ logs it"


@pytest.mark.slow
def test_an_ingest_worker_makes_what_was_ordered(
    job: JobRow, redis: Redis, settings: Settings, tmp_path: Path, site: Path
) -> None:
    spelled = {k: v for k, v in environment(settings).items() if k.startswith("UNMASK_")}
    crew = Crew(tmp_path, site, spelled)
    try:
        order(redis, settings, job)
        crew.start("ingest")
        crew.wait_for(lambda: Shelf(settings).note(job.id) is not None)
    finally:
        crew.stop()
    assert Shelf(settings).note(job.id) == RenditionNote(end_ms=360, whole=True)


def test_the_medias_own_fault_is_noted_and_not_tried_at_every_look(
    job: JobRow, redis: Redis, settings: Settings
) -> None:
    cut_short(Path(job.path), 0.02)
    make(job.submission, settings, redis)
    note = Shelf(settings).note(job.id)
    assert note is not None and note.failure is not None
    assert note.failure.code in {ReasonCode.TRUNCATED, ReasonCode.DECODE_ERROR}
    age(Shelf(settings), job.id, 2 * 3600)
    assert Shelf(settings).note(job.id) is None, "an hour later it may be asked for again"


def test_past_its_time_it_is_unknown_at_once_and_deleted_by_the_sweeper(
    job: JobRow, store: Store, redis: Redis, settings: Settings
) -> None:
    make(job.submission, settings, redis)
    shelf = Shelf(settings)
    age(shelf, job.id, 24 * 3600 - 60)
    assert shelf.note(job.id) is not None
    assert delete_expired(store, redis, settings)["renditions_deleted"] == 0
    age(shelf, job.id, 24 * 3600 + 60)
    assert shelf.note(job.id) is None
    assert delete_expired(store, redis, settings)["renditions_deleted"] == 1
    assert files(settings) == []
    assert described(settings)["renditions"].startswith("24 h after they were made")


def test_it_goes_with_its_upload_whatever_its_own_retention(
    job: JobRow, store: Store, redis: Redis, settings: Settings
) -> None:
    make(job.submission, settings, redis)
    assert store.set_state(job.id, JobState.FAILED)
    soon = settings.model_copy(update={"upload_retention_hours": 0.0})
    time.sleep(0.01)
    done = delete_expired(store, redis, soon)
    assert (done["uploads_deleted"], done["renditions_deleted"]) == (1, 1)
    assert files(settings) == []


def test_a_draft_that_a_dead_worker_left_is_cleared_away(
    job: JobRow, store: Store, redis: Redis, settings: Settings
) -> None:
    make(job.submission, settings, redis)
    left = settings.data_dir / "renditions" / f"{job.id}.0a0b0c0d.part"
    left.write_bytes(b"half a rendition")
    delete_expired(store, redis, settings)
    assert left.exists(), "somebody may be at it"
    os.utime(left, (time.time() - 2 * 3600,) * 2)
    delete_expired(store, redis, settings)
    assert files(settings) == [f"{job.id}.json", f"{job.id}.webm"]


def test_erased_while_it_is_made_it_leaves_nothing(
    job: JobRow, store: Store, redis: Redis, settings: Settings
) -> None:
    order(redis, settings, job)
    erase(store, redis, settings, job.id, tenant="default")
    assert not Job.exists(rendition_job_name(job.id), connection=redis)
    # A worker that had begun, and was slow to hear of it.
    Path(job.path).parent.mkdir(exist_ok=True)
    write_clip(Path(job.path).with_suffix(".mkv"), numbered(3)).rename(job.path)
    make(job.submission, settings, redis)
    assert files(settings) == []
