"""Erase a job as if it had never been: database, files, Redis. Only a signed receipt stays."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from unmask import queues
from unmask.errors import InputError, ReasonCode
from unmask.messages import CropBatch, JobState, Reason
from unmask.settings import Settings
from workers.jobs.orders.stop import stop_work
from workers.jobs.removal.receipts import sign, signing_key
from workers.jobs.removal.upload_retention import upload_name
from workers.jobs.renditions.order_rendition import rendition_job_name
from workers.jobs.renditions.shelf import Shelf
from workers.jobs.settle import verdict_job_name
from workers.jobs.submit import ingest_job_name
from workers.store import JobRow, Store
from workers.store.erasure import Receipt

log = structlog.get_logger(__name__)

_CHUNK = 500
_LATE_WRITES = timedelta(hours=2)
_WHY = Reason(code=ReasonCode.CANCELLED, message="It is being erased.")


def erase(
    store: Store,
    redis: "Redis",
    settings: Settings,
    job_id: str,
    *,
    tenant: str,
    actor: str = "operator",
) -> Receipt:
    """Erase one job of the tenant; a running one is stopped first. Twice is the same as once.

    Media that was handed in by path or address is the caller's and stays where it lies.
    Raises InputError (not_found), StoreError, RedisError, OSError; after any of these it can be
    called again and takes up where it was.
    """
    known = store.erasure.receipt(job_id)
    row = store.job(job_id)
    if known is not None and known.tenant == tenant:
        return known
    if row is None or row.tenant != tenant:
        raise InputError(
            f"no job {job_id!r}.", code=ReasonCode.NOT_FOUND, fix="GET /v1/jobs lists them."
        )
    store.set_state(job_id, JobState.CANCELLED, [_WHY])
    stop_work(redis, row)
    removed: dict[str, int] = {
        "redis_keys": purge_redis(redis, row.id, row.generation),
        "evidence_pictures": delete_evidence(settings, job_id),
        "uploads": _delete_upload(settings, row),
        "renditions": Shelf(settings).remove(job_id),
    }
    key = signing_key(settings.data_dir)

    def signed(counts: dict[str, int]) -> str:
        return sign(key, _content(row, actor, removed | counts))

    receipt = store.erasure.erase(job_id, tenant, signed)
    # Whoever was slow to hear of it may have written meanwhile; purge_erased comes back to it.
    delete_evidence(settings, job_id)
    Shelf(settings).remove(job_id)
    purge_redis(redis, row.id, row.generation)
    store.wipe_deleted()
    log.info("job.erased", tenant=tenant)
    return receipt


def _content(row: JobRow, actor: str, removed: dict[str, int]) -> dict[str, Any]:
    return {
        "type": "unmask.erasure/1",
        "job_id": row.id,
        "tenant": row.tenant,
        "media_sha256": row.media_sha256,
        "erased_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "erased_by": actor,
        "removed": removed,
        "left": [] if removed["uploads"] else ["media handed in by path or address, if any"],
    }


def purge_erased(store: Store, redis: "Redis", settings: Settings) -> int:
    """Delete what slow workers wrote for jobs after they were erased; how many keys and files."""
    recent = store.erasure.since(datetime.now(UTC) - _LATE_WRITES)
    shelf = Shelf(settings)
    return sum(
        purge_redis(redis, job_id, None) + shelf.remove(job_id) + delete_evidence(settings, job_id)
        for job_id in recent
    )


def purge_redis(redis: "Redis", job_id: str, generation: int | None) -> int:
    """Delete all that Redis holds of a job, whatever its generation; how many keys and entries."""
    gone = 0
    names: list[Any] = list(redis.scan_iter(f"{queues.job_prefix()}{job_id}:*", count=1000))
    for start in range(0, len(names), _CHUNK):
        removed: Any = redis.unlink(*names[start : start + _CHUNK])
        gone += int(removed)
    # Its crops went with stop_work; what nobody could score lies among the dead letters.
    found: Any = redis.xrange(queues.DEAD_LETTERS)
    buried = [entry for entry, fields in found if _is_of(fields, job_id)]
    if buried:
        dropped: Any = redis.xdel(queues.DEAD_LETTERS, *buried)
        gone += int(dropped)
    gone += _forgotten(rendition_job_name(job_id), redis)
    last = 0 if generation is None else generation
    for number in range(last + 1):
        redis.hdel(queues.ACTIVE, f"{job_id}:{number}")
        for name in (ingest_job_name(job_id, number), verdict_job_name(job_id, number)):
            gone += _forgotten(name, redis)
    return gone


def _forgotten(name: str, redis: "Redis") -> int:
    with suppress(NoSuchJobError):
        Job.fetch(name, connection=redis, serializer=JSONSerializer).delete()
        return 1
    return 0


def _is_of(fields: dict[bytes, bytes], job_id: str) -> bool:
    try:
        batch = CropBatch.model_validate_json(fields[queues.FIELD_META.encode()])
    except (KeyError, ValueError):
        return False
    return batch.job_id == job_id


def delete_evidence(settings: Settings, job_id: str) -> int:
    """Delete the pictures of a job or stream; how many."""
    folder = settings.data_dir / "evidence" / job_id
    count = sum(path.is_file() for path in folder.rglob("*"))
    shutil.rmtree(folder, ignore_errors=True)
    return count


def _delete_upload(settings: Settings, row: JobRow) -> int:
    if row.submission.address is not None or upload_name(settings, Path(row.path)) is None:
        return 0
    try:
        Path(row.path).unlink()
    except FileNotFoundError:
        return 0
    return 1
