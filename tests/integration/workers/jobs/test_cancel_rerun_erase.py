"""Jobs that are given up, judged again, or erased until only a receipt is left."""

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from ingest.publish import RedisPublisher
from tests.fakes import KEY
from tests.integration.workers.clips import pan
from tests.integration.workers.crew import Crew
from tests.integration.workers.handing_in import kept_scores, submit
from tests.unit.workers.making import REF, closed, result, scores
from unmask import queues
from unmask.errors import InputError, ReasonCode
from unmask.messages import JobState
from unmask.requests.job_details import DEFAULT_TENANT
from unmask.requests.tenant_rules import TenantRules
from unmask.settings import Settings
from unmask.verdict.decision import DecisionGiven
from workers.jobs.orders.cancel import cancel
from workers.jobs.orders.rerun import rerun
from workers.jobs.removal import receipts
from workers.jobs.removal.erase import erase, purge_erased
from workers.jobs.removal.retention import delete_expired
from workers.jobs.renditions.shelf import RenditionNote, Shelf
from workers.jobs.submit import create, enqueue_ingest, ingest_job_name
from workers.store import Store
from workers.verdicts.aggregate import aggregate

_KEPT = {
    f"{kind}_retention_hours": math.inf
    for kind in ("upload", "evidence", "rendition", "score", "verdict", "decision")
}
UPLOAD = "0123456789abcdef" * 2
NAME = "holiday of Ä. Person.mp4"


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        data_dir=tmp_path / "data",
        face_detector="haar",
        sample="uniform:8",
        plugins=(KEY,),
        group_crops=2,
        high_water_crops=2,
    )


@pytest.fixture
def store(settings: Settings, site: Path) -> Iterator[Store]:
    found = Store(settings.database())
    yield found
    found.close()


def _upload(settings: Settings, name: str = UPLOAD) -> Path:
    settings.uploads().mkdir(parents=True, exist_ok=True)
    path = settings.uploads() / name
    pan(path.with_suffix(".mp4")).rename(path)
    return path


def test_a_queued_job_is_cancelled_and_never_begun(
    store: Store, redis: Redis, settings: Settings, tmp_path: Path
) -> None:
    row = submit(store, redis, settings, pan(tmp_path / "a.mp4"))
    assert cancel(store, redis, row.id, actor="key:1")
    after = store.job(row.id)
    assert after is not None and after.state is JobState.CANCELLED
    assert [reason.code for reason in after.reasons] == [ReasonCode.CANCELLED]
    assert not Job.exists(ingest_job_name(row.id, 0), connection=redis)
    assert not cancel(store, redis, row.id), "it had ended"
    assert not cancel(store, redis, "nonesuch")
    assert [(a.action, a.actor) for a in store.actions.of(row.id)] == [("job.cancel", "key:1")]
    (event,) = store.outbox.after(0, "default", job_id=row.id)
    assert (event.type, event.number) == ("job.cancelled", 1)


def test_nothing_is_published_for_a_cancelled_job(
    store: Store, redis: Redis, settings: Settings, tmp_path: Path
) -> None:
    from ingest.faces import build_face_detector
    from ingest.pipeline import ingest_video

    row, _ = create(store, settings, pan(tmp_path / "a.mp4"))
    assert cancel(store, redis, row.id)
    ended = ingest_video(
        row.submission,
        settings=settings,
        publisher=RedisPublisher(redis, settings),
        face_detector=build_face_detector("haar", settings),
    )
    assert ended.error is not None and ended.error.code is ReasonCode.CANCELLED
    assert redis.xlen(queues.CROPS) == 0


@pytest.mark.slow
def test_a_running_job_is_cancelled_within_five_seconds_and_its_worker_goes_on(
    store: Store, redis: Redis, settings: Settings, tmp_path: Path, crew: Crew
) -> None:
    row = submit(store, redis, settings, pan(tmp_path / "a.mp4"))
    crew.start("ingest")
    # Nobody scores, so that it fills the stream to its mark and waits.
    crew.wait_for(lambda: redis.xlen(queues.CROPS) > 0)
    begun = time.monotonic()
    assert cancel(store, redis, row.id)
    took_s = time.monotonic() - begun
    assert redis.xlen(queues.CROPS) == 0
    assert took_s < 5
    after = store.job(row.id)
    assert after is not None and after.state is JobState.CANCELLED
    other = submit(store, redis, settings, pan(tmp_path / "b.mp4", start=9))
    crew.wait_for(lambda: redis.exists(queues.published(other.id, 0)))


def test_a_job_runs_again_with_other_rules_and_its_history_stays(
    store: Store, redis: Redis, settings: Settings, tmp_path: Path
) -> None:
    row = submit(store, redis, settings, pan(tmp_path / "a.mp4"))
    with pytest.raises(InputError, match="not finished"):
        rerun(store, redis, settings, row.id)
    first = aggregate(closed({1: 5}), [result(scores([0.5] * 5))], row.policy)
    assert store.save_verdict(row.id, 0, first)
    again = rerun(store, redis, settings, row.id, sample="fps:1", actor="key:1")
    assert (again.generation, again.state, again.sample) == (1, JobState.QUEUED, "fps:1")
    assert again.headline is None
    queued = Job.fetch(ingest_job_name(row.id, 1), connection=redis, serializer=JSONSerializer)
    assert json.loads(queued.args[0])["sample"] == "fps:1"
    assert store.verdict(row.id, 0) == first
    assert store.save_verdict(row.id, 1, first.model_copy(update={"p_fake": 0.1}))
    assert [e.number for e in store.outbox.after(0, "default", job_id=row.id)] == [1, 2]
    Path(row.path).unlink()
    with pytest.raises(InputError, match="gone"):
        rerun(store, redis, settings, row.id)


def _traces(settings: Settings, redis: Redis, *needles: bytes) -> list[str]:
    """Where any of these bytes still lies: in the data folder's files and names, or in Redis."""
    found = []
    for path in settings.data_dir.rglob("*"):
        if any(needle in str(path).encode() for needle in needles):
            found.append(f"named {path}")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles):
            found.append(str(path))
    for key in redis.scan_iter("*"):
        kind = redis.type(key).decode()
        value = {
            "string": redis.get, "hash": redis.hgetall,
            "list": lambda k: redis.lrange(k, 0, -1), "set": redis.smembers,
            "zset": lambda k: redis.zrange(k, 0, -1), "stream": redis.xrange,
        }[kind](key)  # fmt: skip
        text = key + repr(value).encode()
        if any(needle in text for needle in needles):
            found.append(f"redis {key!r}")
    return found


def _judged(
    store: Store, redis: Redis, settings: Settings, tenant: str = DEFAULT_TENANT
) -> tuple[str, str, bytes]:
    """A job with all that one can have: its id, its hash, and bytes of its pixels."""
    path = _upload(settings, UPLOAD if tenant == DEFAULT_TENANT else UPLOAD[::-1])
    sha256 = "ab" * 32
    row, _ = create(
        store, settings, path, filename=NAME, body_sha256=sha256, idempotency_key="k", tenant=tenant
    )
    enqueue_ingest(redis, row.submission)
    publisher = RedisPublisher(redis, settings)
    publisher.begin(row.submission)
    pixels = path.read_bytes()[1000:1040]
    found = scores([0.5] * 5)
    verdict = aggregate(closed({1: 5}), [result(found)], row.policy)
    verdict = verdict.model_copy(
        update={"media": verdict.media.model_copy(update={"sha256": sha256})}
    )
    assert store.save_verdict(row.id, 0, verdict, found)
    given = DecisionGiven(finding="fake", moderator="kim", rationale="I know Ä. Person")
    store.decisions.add(row.id, 0, given, "upholds")
    folder = settings.data_dir / "evidence" / row.id / "0"
    folder.mkdir(parents=True)
    (folder / "face.png").write_bytes(pixels)
    shelf = Shelf(settings)
    with shelf.draft(row.id) as draft:
        draft.write_bytes(pixels)
        shelf.put(row.id, RenditionNote(), draft)
    redis.xadd(
        queues.DEAD_LETTERS,
        {
            queues.FIELD_META: json.dumps(
                {"job_id": row.id, "generation": 0, "plugins": [REF.model_dump()],
                 "crops": [json.loads(found[0].crop.model_dump_json())]}
            )
        },
    )  # fmt: skip
    return row.id, sha256, pixels


def test_after_an_erasure_only_the_receipt_is_left(
    store: Store, redis: Redis, settings: Settings
) -> None:
    job_id, sha256, pixels = _judged(store, redis, settings)
    needles = (sha256.encode(), NAME.encode(), b"I know", pixels)
    assert _traces(settings, redis, job_id.encode(), *needles)
    receipt = erase(store, redis, settings, job_id, tenant="default", actor="key:1")
    assert store.job(job_id) is None and store.decisions.of(job_id) == []
    # The receipt itself says of which job and file it is; nothing else anywhere does.
    traces = _traces(settings, redis, *needles[1:])
    assert traces == []
    content = receipts.read(
        receipt.signed, receipts.public_key(receipts.signing_key(settings.data_dir))
    )
    assert content is not None
    assert (content["job_id"], content["media_sha256"]) == (job_id, sha256)
    assert content["removed"]["verdicts"] == 1 and content["removed"]["frame_scores"] == 5
    assert content["removed"]["decisions"] == 1 and content["removed"]["uploads"] == 1
    assert content["removed"]["renditions"] == 1
    named = _traces(settings, redis, job_id.encode(), sha256.encode())
    assert [Path(trace).name for trace in named] in (
        ["unmask.sqlite3"], ["unmask.sqlite3", "unmask.sqlite3-wal"], ["unmask.sqlite3-wal"],
    )  # fmt: skip
    assert erase(store, redis, settings, job_id, tenant="default") == receipt
    assert store.erasure.receipt(job_id) == receipt


def test_a_receipt_that_was_changed_or_signed_by_another_is_none(tmp_path: Path) -> None:
    key = receipts.signing_key(tmp_path)
    assert receipts.signing_key(tmp_path).as_dict() == key.as_dict()
    signed = receipts.sign(key, {"job_id": "a"})
    assert receipts.read(signed, receipts.public_key(key)) == {"job_id": "a"}
    head, body, mark = signed.split(".")
    assert receipts.read(f"{head}.{body[:-2]}AA.{mark}", receipts.public_key(key)) is None
    other = receipts.public_key(receipts.signing_key(tmp_path / "other"))
    assert receipts.read(signed, other) is None


def test_what_a_slow_worker_writes_after_an_erasure_is_swept_away(
    store: Store, redis: Redis, settings: Settings
) -> None:
    job_id, _, _ = _judged(store, redis, settings)
    erase(store, redis, settings, job_id, tenant="default")
    redis.hset(queues.scores(job_id, 0, "p@1"), "0:0", "{}")
    assert purge_erased(store, redis, settings) == 1
    assert not _traces(settings, redis, f"job:{job_id}".encode())


def test_another_tenant_erases_nothing(store: Store, redis: Redis, settings: Settings) -> None:
    job_id, _, _ = _judged(store, redis, settings)
    with pytest.raises(InputError) as caught:
        erase(store, redis, settings, job_id, tenant="other")
    assert caught.value.code is ReasonCode.NOT_FOUND
    assert store.job(job_id) is not None


@pytest.mark.slow
def test_a_running_job_can_be_erased(
    store: Store, redis: Redis, settings: Settings, crew: Crew
) -> None:
    row = submit(store, redis, settings, _upload(settings), filename=NAME)
    crew.start("ingest")
    crew.wait_for(lambda: redis.xlen(queues.CROPS) > 0)
    erase(store, redis, settings, row.id, tenant="default")
    assert redis.xlen(queues.CROPS) == 0
    assert _traces(settings, redis, NAME.encode(), f"job:{row.id}".encode()) == []
    assert NAME not in crew.log("ingest")


def test_each_kind_goes_when_its_time_is_up(store: Store, redis: Redis, settings: Settings) -> None:
    job_id, _, _ = _judged(store, redis, settings)
    assert not delete_expired(store, redis, settings.model_copy(update=_KEPT))
    kinds = ("evidence", "score", "decision")
    nothing = _KEPT | {f"{kind}_retention_hours": 0.0 for kind in kinds}
    done = delete_expired(store, redis, settings.model_copy(update=nothing))
    assert done == {"evidence_deleted": 1, "scores_deleted": 5, "decisions_deleted": 1}
    assert store.verdict(job_id) is not None
    assert not (settings.data_dir / "evidence" / job_id).exists()
    over = settings.model_copy(update=_KEPT | {"verdict_retention_hours": 0.0})
    assert delete_expired(store, redis, over)["jobs_erased"] == 1
    assert store.job(job_id) is None and store.erasure.receipt(job_id) is not None


def test_a_tenants_data_goes_by_its_own_rules(
    store: Store, redis: Redis, settings: Settings
) -> None:
    mine, _, _ = _judged(store, redis, settings)
    theirs, _, _ = _judged(store, redis, settings, "acme")
    kinds = ("upload", "evidence", "score", "decision")
    at_once = TenantRules(**{f"{kind}_retention_hours": 0.0 for kind in kinds})  # type: ignore[arg-type]
    ruled = settings.model_copy(update=_KEPT | {"tenants": {"acme": at_once, "other": at_once}})
    done = delete_expired(store, redis, ruled)
    assert {k: done[k] for k in done if k != "renditions_deleted"} == {
        "uploads_deleted": 1, "evidence_deleted": 1, "scores_deleted": 5, "decisions_deleted": 1,
    }  # fmt: skip
    for job_id, left in ((mine, 1), (theirs, 0)):
        assert len(list((settings.data_dir / "evidence").glob(f"{job_id}/0"))) == left
        assert len(kept_scores(store, job_id)) == 5 * left
        assert len(store.decisions.of(job_id)) == left
        assert store.verdict(job_id) is not None
    forever = TenantRules(verdict_retention_hours=math.inf)
    over = {"verdict_retention_hours": 0.0, "tenants": {"acme": forever}}
    assert (
        delete_expired(store, redis, settings.model_copy(update=_KEPT | over))["jobs_erased"] == 1
    )
    assert store.job(mine) is None and store.job(theirs) is not None
