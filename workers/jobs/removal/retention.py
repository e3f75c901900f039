"""What is kept for how long, by kind. The sweeper calls this; `unmask doctor` shows it."""

import math
import shutil
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog
from redis import Redis

from unmask.errors import InputError
from unmask.requests.tenant_rules import Kind
from unmask.settings import Settings
from workers.jobs.removal.erase import erase, purge_erased
from workers.jobs.removal.upload_retention import delete_old_uploads, groups, upload_name
from workers.jobs.renditions.shelf import Shelf
from workers.store import JobRow, Store
from workers.store.erasure import Whose

log = structlog.get_logger(__name__)

_AT_ONCE = 200


def delete_expired(store: Store, redis: "Redis", settings: Settings) -> Counter[str]:
    """Delete what is past its time; how many of each kind. Raises StoreError, RedisError.

    Uploads and evidence go by themselves and leave the verdict. Where a verdict's own time is
    up, the whole job is erased, with a receipt.
    """
    done: Counter[str] = Counter()
    done["uploads_deleted"] = delete_old_uploads(store, settings)
    done["evidence_deleted"] = _delete_evidence(store, settings)
    done["renditions_deleted"] = _delete_renditions(store, settings)
    for whose in groups(settings):
        done += _delete_rows(store, redis, settings, whose)
    done["late_keys_deleted"] = purge_erased(store, redis, settings)
    return +done


def _delete_rows(store: Store, redis: "Redis", settings: Settings, whose: Whose) -> Counter[str]:
    """What of it lies in the database."""
    done: Counter[str] = Counter()

    def cutoff(kind: Kind) -> datetime | None:
        return _cutoff(settings.kept_hours(kind, whose.only))

    if (before := cutoff("score")) is not None:
        done["scores_deleted"] = store.delete_scores(before, _AT_ONCE, whose=whose)
    if (before := cutoff("decision")) is not None:
        done["decisions_deleted"] = store.decisions.delete(before, whose=whose)
    if (before := cutoff("verdict")) is not None:
        for job_id, tenant in store.ended(before, _AT_ONCE, whose=whose):
            with suppress(InputError):  # somebody else erased it meanwhile
                erase(store, redis, settings, job_id, tenant=tenant, actor="retention")
                done["jobs_erased"] += 1
    return done


def _delete_renditions(store: Store, settings: Settings) -> int:
    """Those past their time, and those whose upload or job has gone."""
    shelf = Shelf(settings)
    gone = shelf.remove_expired()
    for job_id in shelf.jobs():
        row = store.job(job_id)
        if row is None or _upload_is_gone(settings, row):
            gone += shelf.remove(job_id)
    return gone


def _upload_is_gone(settings: Settings, row: JobRow) -> bool:
    path = Path(row.path)
    elsewhere = row.submission.address is not None or upload_name(settings, path) is None
    return not elsewhere and not path.is_file()


def described(settings: Settings) -> dict[str, str]:
    """Each kind with how long it is kept, in words."""
    return {
        "uploads": _words(settings.upload_retention_hours, "after the job ended"),
        "crops": "until the verdict",
        "renditions": _words(settings.rendition_retention_hours, "after they were made")
        + ", and no longer than their upload",
        "evidence": _words(settings.evidence_retention_hours, "after the verdict"),
        "scores": _words(settings.score_retention_hours, "after the job ended"),
        "verdicts": _words(settings.verdict_retention_hours, "after the job ended"),
        "decisions": _words(settings.decision_retention_hours, "after they were made"),
    }


def _words(hours: float, since: str) -> str:
    return "for ever" if math.isinf(hours) else f"{hours:g} h {since}"


def _cutoff(hours: float) -> datetime | None:
    """The moment before which a kind is over; None where it is kept for ever."""
    now_s = time.time()
    return None if hours * 3600 > now_s else datetime.fromtimestamp(now_s - hours * 3600, UTC)


def _delete_evidence(store: Store, settings: Settings) -> int:
    hours = [settings.kept_hours("evidence", whose.only) for whose in groups(settings)]
    first = _cutoff(min(hours))
    if first is None:
        return 0
    old: dict[Path, float] = {}
    for folder in (settings.data_dir / "evidence").glob("*/*"):
        with suppress(FileNotFoundError):
            written_s = folder.stat().st_mtime
            if written_s < first.timestamp():
                old[folder] = written_s
    tenants = store.tenants_of(sorted({folder.parent.name for folder in old}))
    gone = 0
    for folder, written_s in old.items():
        own = _cutoff(settings.kept_hours("evidence", tenants.get(folder.parent.name)))
        if own is not None and written_s < own.timestamp():
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
            with suppress(OSError):
                folder.parent.rmdir()  # the last generation's went
    return gone
