"""An operator's hand on jobs and dead letters: what is retried runs, what is cancelled stops."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import CliRunner

from console.cli import app
from detect_plugins.catalogue import load_catalogue
from tests.fakes import KEY
from tests.integration.workers.jobs.test_sweep import queued
from tests.unit.workers.making import crop
from unmask import queues
from unmask.errors import InputError, ReasonCode
from unmask.messages import CropBatch, JobState, PluginRef, Reason, Submission
from unmask.policy import DEFAULT
from unmask.settings import Settings
from workers.jobs.dead_letters import dead_letter, dead_letters, drive_again, drop
from workers.jobs.orders.operate import retry
from workers.jobs.submit import enqueue_ingest, ingest_job_name
from workers.jobs.sweep import Sweeper
from workers.scoring.consume import GroupConsumer
from workers.scoring.entry import Entry
from workers.store import Store
from workers.verdicts.make import Services


@pytest.fixture
def services(
    redis: Redis, redis_url: str, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    monkeypatch.setenv("UNMASK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("UNMASK_REDIS_URL", redis_url)
    settings = Settings()
    store = Store(settings.database())
    yield Services(redis=redis, store=store, catalogue=load_catalogue(), settings=settings)
    store.close()


@pytest.fixture
def ref(services: Services) -> PluginRef:
    return services.catalogue.get(KEY).ref(None)


def accept(services: Services, ref: PluginRef, job_id: str) -> Submission:
    """A job whose media is there."""
    path = services.settings.data_dir / "clip.mp4"
    path.write_bytes(b"video")
    sent = Submission(job_id=job_id, path=str(path), filename="x", plugins=(ref,), crop_scale=1.3)
    services.store.create_job(sent, plugins=(ref,), policy=DEFAULT)
    return sent


def bury(redis: Redis, job_id: str, ref: PluginRef) -> str:
    """A dead letter of one crop of that job; its id."""
    metas = (crop(3),)
    batch = CropBatch(job_id=job_id, generation=0, plugins=(ref,), crops=metas)
    GroupConsumer(redis, ref.slug, "worker").bury(
        Entry(id="0-1", batch=batch, crops=()), "its worker died 3 times over these crops."
    )
    return dead_letters(redis, 1)[0].id


def test_a_failed_job_runs_again_one_generation_up(services: Services, ref: PluginRef) -> None:
    accept(services, ref, "a")
    why = Reason(code=ReasonCode.INTERNAL, message="a bug")
    services.store.set_state("a", JobState.FAILED, [why])
    row = retry(services.store, services.redis, services.settings, "a")
    assert (row.state, row.generation, row.reasons) == (JobState.QUEUED, 1, ())
    assert queued(services.redis, queues.INGEST_QUEUE) == [ingest_job_name("a", 1)]


def test_a_waiting_job_is_tried_at_the_next_looks_with_nothing_held_against_it(
    services: Services, ref: PluginRef
) -> None:
    enqueue_ingest(services.redis, accept(services, ref, "a"))
    services.redis.hset(queues.trouble("a", 0, "ingest"), "faults", 3)
    assert retry(services.store, services.redis, services.settings, "a").generation == 0
    assert not services.redis.exists(queues.trouble("a", 0, "ingest"))
    sweeper = Sweeper(services)
    sweeper.sweep()
    assert sweeper.sweep()["ingest_enqueued"] == 1


def test_what_is_unknown_says_how_to_find_what_is_known(services: Services) -> None:
    with pytest.raises(InputError, match="unmask jobs list"):
        retry(services.store, services.redis, services.settings, "nosuch")
    for name in ("nosuch", "1-1", "-", "+"):
        with pytest.raises(InputError, match="unmask dead list"):
            dead_letter(services.redis, name)


def test_a_dead_letter_is_read_dropped_and_driven_again(services: Services, ref: PluginRef) -> None:
    accept(services, ref, "a")
    services.store.set_state("a", JobState.FAILED)
    first, second = bury(services.redis, "a", ref), bury(services.redis, "a", ref)
    other = bury(services.redis, "b", ref)
    letter = dead_letter(services.redis, first)
    assert (letter.job_id, letter.plugin, letter.crops) == ("a", ref.slug, ("3:0",))
    assert drop(services.redis, other).job_id == "b"
    assert [each.id for each in dead_letters(services.redis)] == [second, first]
    row = drive_again(services.store, services.redis, services.settings, first)
    assert (row.state, row.generation) == (JobState.QUEUED, 1)
    assert dead_letters(services.redis) == [], "both were of that job"
    assert queued(services.redis, queues.INGEST_QUEUE) == [ingest_job_name("a", 1)]


def test_the_commands_do_the_same(services: Services, ref: PluginRef) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    enqueue_ingest(services.redis, accept(services, ref, "a"))
    waits = Reason(code=ReasonCode.DISK_FULL, message="No space left on device.")
    services.store.set_state("a", JobState.QUEUED, [waits])
    assert "disk_full" in run("jobs", "list")
    assert json.loads(run("jobs", "list", "--json", "--state", "queued"))["id"] == "a"
    assert json.loads(run("jobs", "show", "a"))["reasons"][0]["code"] == "disk_full"
    assert run("jobs", "cancel", "a") == "a cancelled\n"
    assert run("jobs", "retry", "a") == "a queued generation 1\n"
    letter = bury(services.redis, "a", ref)
    assert json.loads(run("dead", "list", "--json"))["id"] == letter
    assert json.loads(run("dead", "show", letter))["job_id"] == "a"
    services.store.set_state("a", JobState.FAILED)
    assert run("dead", "retry", letter) == "a queued generation 2\n"
    letter = bury(services.redis, "a", ref)
    assert run("dead", "drop", letter) == f"{letter} dropped\n"
    assert run("dead", "list", "--json") == ""
