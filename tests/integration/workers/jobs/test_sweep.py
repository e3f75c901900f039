"""Whatever was left behind is finished or enqueued again; the database says what should be."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from detect_plugins.catalogue import load_catalogue
from tests.fakes import KEY
from tests.integration.workers.scoring.test_scoring import publish
from tests.unit.workers.making import closed, crop
from unmask import queues
from unmask.errors import ReasonCode
from unmask.messages import (
    FaceScore,
    IngestClosed,
    JobState,
    PluginRef,
    Reason,
    Submission,
)
from unmask.policy import DEFAULT
from unmask.settings import Settings
from workers.broker.lifesigns import Beat, served
from workers.jobs.settle import settle, verdict_job_name
from workers.jobs.submit import enqueue_ingest, ingest_job_name
from workers.jobs.sweep import Sweeper
from workers.store import Store
from workers.verdicts.make import Services, make_verdict


@pytest.fixture
def services(redis: Redis, site: Path, tmp_path: Path) -> Iterator[Services]:
    settings = Settings(data_dir=tmp_path / "data", database_url=None, weights_dir=None)
    store = Store(settings.database())
    yield Services(redis=redis, store=store, catalogue=load_catalogue(), settings=settings)
    store.close()


@pytest.fixture
def ref(services: Services) -> PluginRef:
    return services.catalogue.get(KEY).ref(None)


def accept(services: Services, ref: PluginRef, job_id: str) -> Submission:
    submission = Submission(job_id=job_id, path="/x", filename="x", plugins=(ref,), crop_scale=1.3)
    services.store.create_job(submission, plugins=(ref,), policy=DEFAULT)
    return submission


def answer(redis: Redis, job_id: str, ref: PluginRef, frames: int) -> None:
    for frame in range(frames):
        found = FaceScore(
            crop=crop(frame), plugin=ref, p=0.5, map_height=8, map_width=8, entry_id="0-1"
        )
        redis.hset(queues.scores(job_id, 0, ref.slug), found.crop.key, found.model_dump_json())


def queued(redis: Redis, name: str) -> list[str]:
    return Queue(name, connection=redis, serializer=JSONSerializer).job_ids


def test_a_job_that_rq_never_heard_of_is_enqueued_at_the_second_look(
    services: Services, ref: PluginRef
) -> None:
    accept(services, ref, "a")
    sweeper = Sweeper(services)
    assert sweeper.sweep()["ingest_enqueued"] == 0, "it may be about to be enqueued"
    assert sweeper.sweep()["ingest_enqueued"] == 1
    assert queued(services.redis, queues.INGEST_QUEUE) == [ingest_job_name("a", 0)]
    assert sweeper.sweep()["ingest_enqueued"] == 0, "it is in RQ now"


def test_a_job_whose_worker_died_between_taking_and_starting_it_is_enqueued_again(
    services: Services, ref: PluginRef
) -> None:
    enqueue_ingest(services.redis, accept(services, ref, "a"))
    services.redis.lmove(
        f"rq:queue:{queues.INGEST_QUEUE}", f"rq:queue:{queues.INGEST_QUEUE}:intermediate"
    )
    sweeper = Sweeper(services)
    sweeper.sweep()
    assert sweeper.sweep()["ingest_enqueued"] == 1
    assert queued(services.redis, queues.INGEST_QUEUE) == [ingest_job_name("a", 0)]


def test_a_settled_job_that_nobody_asked_a_verdict_for_gets_one(
    services: Services, ref: PluginRef
) -> None:
    accept(services, ref, "a")
    publish(services.redis, "a", [9] * 6, plugins=(ref,))
    answer(services.redis, "a", ref, 6)
    sweeper = Sweeper(services)
    assert sweeper.sweep()["verdict_enqueued"] == 1, "all is in, and nobody had noticed"
    assert queued(services.redis, queues.VERDICT_QUEUE) == [verdict_job_name("a", 0)]
    # Whoever settled it died before it could ask: only the mark is there.
    services.redis.delete(f"rq:queue:{queues.VERDICT_QUEUE}", f"rq:job:{verdict_job_name('a', 0)}")
    sweeper.sweep()
    assert sweeper.sweep()["verdict_enqueued"] == 1


def test_a_job_that_is_being_scored_is_left_alone_and_shown_as_running(
    services: Services, ref: PluginRef
) -> None:
    accept(services, ref, "a")
    publish(services.redis, "a", [9] * 6, plugins=(ref,))
    answer(services.redis, "a", ref, 5)
    sweeper = Sweeper(services)
    assert not sweeper.sweep() and not sweeper.sweep()
    row = services.store.job("a")
    assert row is not None and row.state is JobState.RUNNING
    assert services.redis.xlen(queues.CROPS) == 1


def test_a_plugin_that_nobody_serves_is_given_up_and_the_verdict_says_so(
    services: Services, ref: PluginRef
) -> None:
    accept(services, ref, "a")
    publish(services.redis, "a", [9] * 6, plugins=(ref,))
    answer(services.redis, "a", ref, 2)
    patient = Sweeper(services, abandoned_after_s=60)
    patient.sweep()
    assert not services.redis.exists(queues.failures("a", 0, ref.slug))
    assert Sweeper(services, abandoned_after_s=0).sweep()["plugin_given_up"] == 1
    assert services.redis.hlen(queues.failures("a", 0, ref.slug)) == 4
    assert queued(services.redis, queues.VERDICT_QUEUE) == [verdict_job_name("a", 0)]


def test_a_plugin_with_a_live_worker_is_waited_for_however_long(
    services: Services, ref: PluginRef
) -> None:
    accept(services, ref, "a")
    publish(services.redis, "a", [9] * 6, plugins=(ref,))
    Beat(services.redis, ref.slug, "worker", expires_ms=60_000)()
    assert served(services.redis) == {ref.slug: True}
    assert not Sweeper(services, abandoned_after_s=0).sweep()


def test_crops_of_jobs_that_are_over_are_deleted(services: Services, ref: PluginRef) -> None:
    publish(services.redis, "gone", [9] * 16, plugins=(ref,))
    accept(services, ref, "open")
    publish(services.redis, "open", [9] * 8, plugins=(ref,))
    assert Sweeper(services).sweep()["entries_deleted"] == 2
    assert services.redis.xlen(queues.CROPS) == 1


def test_the_sweeper_deletes_an_upload_whose_time_is_up(services: Services, ref: PluginRef) -> None:
    settings = services.settings.model_copy(update={"upload_retention_hours": 0.0})
    path = settings.uploads() / ("f" * 32)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"video")
    sent = Submission(job_id="a", path=str(path), filename="x", plugins=(ref,), crop_scale=1.3)
    services.store.create_job(sent, plugins=(ref,), policy=DEFAULT, upload=path.name)
    services.store.set_state("a", JobState.FAILED)
    own = Services(
        redis=services.redis, store=services.store, catalogue=services.catalogue, settings=settings
    )
    assert Sweeper(own).sweep()["uploads_deleted"] == 1
    assert not path.exists()


def test_a_verdict_made_twice_is_the_same_and_its_crops_are_deleted(
    services: Services, ref: PluginRef
) -> None:
    accept(services, ref, "a")
    publish(services.redis, "a", [9] * 6, plugins=(ref,), close=False)
    answer(services.redis, "a", ref, 6)
    end = closed({1: 6}).model_copy(update={"job_id": "a", "plugins": (ref,)})
    services.redis.set(queues.closed("a", 0), end.model_dump_json())
    assert settle(services.redis, "a", 0)
    assert not settle(services.redis, "a", 0)
    first = make_verdict(services, "a", 0)
    assert first is not None and first.p_fake is not None
    assert services.redis.xlen(queues.CROPS) == 0
    assert 0 < services.redis.ttl(queues.scores("a", 0, ref.slug)) <= 3600
    again = make_verdict(services, "a", 0)
    assert again == first == services.store.verdict("a")
    # A second run that began before the first ended finds no pictures left; the first stands.
    assert services.store.save_verdict("a", 0, first.model_copy(update={"p_fake": 0.0}))
    assert services.store.verdict("a") == first


def test_a_job_whose_media_is_refused_fails_with_that_reason(
    services: Services, ref: PluginRef
) -> None:
    accept(services, ref, "a")
    why = Reason(code=ReasonCode.TRUNCATED, message="cut off")
    end = IngestClosed(job_id="a", generation=0, crops=0, plugins=(ref,), error=why)
    services.redis.set(queues.closed("a", 0), end.model_dump_json())
    assert Sweeper(services).sweep()["verdict_enqueued"] == 1
    assert make_verdict(services, "a", 0) is None
    row = services.store.job("a")
    assert row is not None
    assert (row.state, row.reasons) == (JobState.FAILED, (why,))
