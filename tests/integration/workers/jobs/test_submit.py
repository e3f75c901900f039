"""Submitting: the same key and body give the same job; another body is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from detect_plugins.catalogue import load_catalogue
from tests.fakes import KEY
from tests.integration.workers.handing_in import submit
from unmask.errors import ConfigError, IdempotencyConflict, PluginBroken
from unmask.messages import Submission
from unmask.queues import INGEST_LANES, INGEST_QUEUE
from unmask.requests.lanes import Priority
from unmask.settings import Settings
from workers.jobs.submit import enqueue_ingest, ingest_job_name
from workers.store import Store

PRIORITIES: dict[str, Priority] = {"a": "batch", "b": "low", "c": "live"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, database_url=None, weights_dir=None, plugins=(KEY,))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store(settings.database())
    yield opened
    opened.close()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"not read here")
    return path


def jobs_in(redis: Redis) -> list[str]:
    return Queue(INGEST_QUEUE, connection=redis, serializer=JSONSerializer).job_ids


def test_a_job_is_written_down_and_ingest_is_sent_all_it_needs(
    store: Store, redis: Redis, settings: Settings, clip: Path, site: Path
) -> None:
    row = submit(store, redis, settings, clip, filename="holiday.mp4", sample="fps:2")
    assert store.job(row.id) == row
    [job] = Queue(INGEST_QUEUE, connection=redis, serializer=JSONSerializer).jobs
    assert job.func_name == "workers.jobs.ingest_entrypoint.ingest_job"
    sent = Submission.model_validate_json(job.args[0])
    assert sent == row.submission
    assert (sent.path, sent.filename, sent.sample) == (str(clip), "holiday.mp4", "fps:2")
    assert (sent.crop_scale, sent.min_face_px) == (1.3, 32.0)
    assert [ref.key for ref in sent.plugins] == [KEY]
    assert sent.crop_px is None


def test_crops_are_cut_at_what_the_detectors_need_where_a_margin_is_set(
    store: Store, redis: Redis, settings: Settings, clip: Path, site: Path
) -> None:
    (manifest,) = (load_catalogue().get(key).require_manifest() for key in settings.plugins)
    for margin, cap, wanted in ((2.0, 640, 2 * manifest.input_px), (8.0, 64, 64)):
        given = settings.model_copy(update={"crop_margin": margin, "crop_cap_px": cap})
        assert submit(store, redis, given, clip).submission.crop_px == wanted


def test_the_same_key_and_body_give_the_same_job_and_enqueue_it_once(
    store: Store, redis: Redis, settings: Settings, clip: Path, site: Path
) -> None:
    first = submit(store, redis, settings, clip, idempotency_key="k")
    copy = clip.with_name("elsewhere.mp4")
    copy.write_bytes(clip.read_bytes())
    again = submit(store, redis, settings, copy, filename=clip.name, idempotency_key="k")
    assert again == first
    assert len(jobs_in(redis)) == 1


@pytest.mark.parametrize(
    "other", [{"sample": "all"}, {"filename": "b.mp4"}, {"allow_untrained": True}, {"body": "x"}]
)
def test_the_same_key_with_another_body_is_refused(
    store: Store, redis: Redis, settings: Settings, clip: Path, site: Path, other: dict[str, object]
) -> None:
    submit(store, redis, settings, clip, idempotency_key="k")
    if other.pop("body", None):
        clip.write_bytes(b"another video")
    with pytest.raises(IdempotencyConflict):
        submit(store, redis, settings, clip, idempotency_key="k", **other)  # type: ignore[arg-type]
    assert len(jobs_in(redis)) == 1


def test_an_unknown_plugin_or_policy_makes_no_job(
    store: Store, redis: Redis, settings: Settings, clip: Path, site: Path
) -> None:
    with pytest.raises(PluginBroken, match="nonsense"):
        submit(store, redis, settings, clip, plugins=["nonsense"])
    with pytest.raises(ConfigError):
        submit(store, redis, settings, clip, policy="/no/such/file.toml")
    assert store.jobs() == []
    assert jobs_in(redis) == []


def test_each_priority_waits_in_a_queue_of_its_own(redis: Redis) -> None:
    def sent(name: str) -> Submission:
        return Submission(job_id=name, path="/m", filename="m", plugins=(), crop_scale=1.3)

    for name, priority in PRIORITIES.items():
        enqueue_ingest(redis, sent(name), priority=priority)
        queue = Queue(INGEST_LANES[priority], connection=redis, serializer=JSONSerializer)
        assert queue.job_ids == [ingest_job_name(name, 0)]
