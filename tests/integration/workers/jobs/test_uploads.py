"""Uploads are deleted when their time is up, and nothing else ever is."""

import os
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.unit.workers.making import REF, closed, result, scores
from unmask.messages import JobState, Submission
from unmask.policy import DEFAULT
from unmask.settings import Settings
from workers.jobs.removal.upload_retention import STRAY_AFTER_S, delete_old_uploads, upload_name
from workers.store import Store
from workers.verdicts.aggregate import aggregate

KEPT_HOURS = 48.0


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    made = Settings(
        data_dir=tmp_path / "data", database_url=database_url, upload_retention_hours=KEPT_HOURS
    )
    made.uploads().mkdir(parents=True)
    return made


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store(settings.database())
    yield opened
    opened.close()


def upload(settings: Settings) -> Path:
    """A file as the API leaves it."""
    path = settings.uploads() / secrets.token_hex(16)
    path.write_bytes(b"video")
    return path


def accept(store: Store, settings: Settings, job_id: str, path: Path) -> None:
    submission = Submission(
        job_id=job_id, path=str(path), filename="x", plugins=(REF,), crop_scale=1.3
    )
    store.create_job(submission, plugins=(REF,), policy=DEFAULT, upload=upload_name(settings, path))


def let_pass(store: Store, hours: float) -> None:
    """Move the last change of every job into the past."""
    engine = create_engine(store.url)
    with engine.begin() as connection:
        for job_id, stamp in connection.execute(text("SELECT id, updated_at FROM jobs")).all():
            earlier = datetime.fromisoformat(stamp) - timedelta(hours=hours)
            connection.execute(
                text("UPDATE jobs SET updated_at = :at WHERE id = :id"),
                {"at": earlier.astimezone(UTC).isoformat(timespec="microseconds"), "id": job_id},
            )
    engine.dispose()


def test_an_upload_goes_when_its_job_ended_long_enough_ago_and_its_verdict_stays(
    store: Store, settings: Settings
) -> None:
    path = upload(settings)
    accept(store, settings, "a", path)
    found = scores([0.5] * 5)
    verdict = aggregate(closed({1: 5}), [result(found)], DEFAULT)
    store.save_verdict("a", 0, verdict, found)
    let_pass(store, KEPT_HOURS - 1)
    assert delete_old_uploads(store, settings) == 0
    assert path.exists()
    let_pass(store, 2)
    assert delete_old_uploads(store, settings) == 1
    assert not path.exists()
    assert delete_old_uploads(store, settings) == 0
    assert store.verdict("a") == verdict
    assert store.rerun("a") is None, "there is nothing left to run it on"


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_a_job_that_has_not_ended_keeps_its_upload_however_old(
    store: Store, settings: Settings, state: JobState
) -> None:
    path = upload(settings)
    accept(store, settings, "a", path)
    store.set_state("a", state)
    let_pass(store, 1000)
    os.utime(path, (1.0, 1.0))
    assert delete_old_uploads(store, settings) == 0
    assert path.exists()


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_failed_or_was_cancelled_gives_its_upload_up_too(
    store: Store, settings: Settings, state: JobState
) -> None:
    path = upload(settings)
    accept(store, settings, "a", path)
    store.set_state("a", state)
    let_pass(store, KEPT_HOURS + 1)
    assert delete_old_uploads(store, settings) == 1
    assert not path.exists()


def test_a_rerun_holds_on_to_the_upload_and_the_time_counts_from_its_end(
    store: Store, settings: Settings
) -> None:
    path = upload(settings)
    accept(store, settings, "a", path)
    store.set_state("a", JobState.FAILED)
    let_pass(store, KEPT_HOURS + 1)
    again = store.rerun("a")
    assert again is not None and again.generation == 1
    assert delete_old_uploads(store, settings) == 0
    let_pass(store, KEPT_HOURS + 1)
    assert delete_old_uploads(store, settings) == 0, "the re-run is still under way"
    store.set_state("a", JobState.FAILED)
    assert delete_old_uploads(store, settings) == 0, "it ended just now"
    assert path.exists()
    let_pass(store, KEPT_HOURS + 1)
    assert delete_old_uploads(store, settings) == 1
    assert not path.exists()


def test_an_upload_that_two_jobs_read_waits_for_the_later_one(
    store: Store, settings: Settings
) -> None:
    path = upload(settings)
    link = settings.data_dir / "link.mp4"
    link.symlink_to(path)
    accept(store, settings, "a", path)
    accept(store, settings, "b", link)
    store.set_state("a", JobState.FAILED)
    let_pass(store, KEPT_HOURS + 1)
    assert delete_old_uploads(store, settings) == 0
    store.set_state("b", JobState.FAILED)
    assert delete_old_uploads(store, settings) == 0
    let_pass(store, KEPT_HOURS + 1)
    assert delete_old_uploads(store, settings) == 1
    assert not path.exists()


def test_files_that_the_api_did_not_write_are_never_deleted(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    name = secrets.token_hex(16)
    by_path = tmp_path / "media" / name
    other_folder = tmp_path / "other" / "uploads" / name
    notes = settings.uploads() / "notes.txt"
    below = settings.uploads() / "folder" / name
    for path in (by_path, other_folder, notes, below):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
    link = settings.uploads() / secrets.token_hex(16)
    link.symlink_to(by_path)
    for number, path in enumerate((by_path, other_folder, notes, below, link)):
        accept(store, settings, f"j{number}", path)
        store.set_state(f"j{number}", JobState.FAILED)
        os.utime(path, (1.0, 1.0))
    let_pass(store, 1000)
    assert delete_old_uploads(store, settings) == 0
    for path in (by_path, other_folder, notes, below):
        assert path.read_bytes() == b"mine"
    assert link.is_symlink()


def test_an_upload_that_no_job_took_goes_once_nobody_writes_to_it_any_more(
    store: Store, settings: Settings
) -> None:
    fresh, stray = upload(settings), upload(settings)
    long_ago = time.time() - max(STRAY_AFTER_S, KEPT_HOURS * 3600) - 60
    os.utime(stray, (long_ago, long_ago))
    assert delete_old_uploads(store, settings) == 1
    assert fresh.exists() and not stray.exists()
    at_once = settings.model_copy(update={"upload_retention_hours": 0.0})
    assert delete_old_uploads(store, at_once) == 0, "it may still be arriving"
    assert fresh.exists()


def test_zero_hours_delete_at_the_end_of_the_job_and_inf_never(
    store: Store, settings: Settings
) -> None:
    path = upload(settings)
    accept(store, settings, "a", path)
    store.set_state("a", JobState.FAILED)
    let_pass(store, 1e5)
    os.utime(path, (1.0, 1.0))
    never = settings.model_copy(update={"upload_retention_hours": float("inf")})
    assert delete_old_uploads(store, never) == 0
    assert path.exists()
    at_once = settings.model_copy(update={"upload_retention_hours": 0.0})
    assert delete_old_uploads(store, at_once) == 1
    assert not path.exists()


def test_before_anything_was_uploaded_there_is_nothing_to_do(
    store: Store, settings: Settings
) -> None:
    settings.uploads().rmdir()
    assert delete_old_uploads(store, settings) == 0
