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
from unmask.settings import Settings
from workers.jobs.removal.erase import erase, purge_erased
from workers.jobs.removal.upload_retention import delete_old_uploads, upload_name
from workers.jobs.renditions.shelf import Shelf
from workers.store import JobRow, Store

log = structlog.get_logger(__name__)

_AT_ONCE = 200


def delete_expired(store: Store, redis: "Redis", settings: Settings) -> Counter[str]:
    """Delete what is past its time; how many of each kind. Raises StoreError, RedisError.

    Uploads and evidence go by themselves and leave the verdict. Where a verdict's own time is
    up, the whole job is erased, with a receipt.
    """
    done: Counter[str] = Counter()
    done["uploads_deleted"] = delete_old_uploads(store, settings)
    done["evidence_deleted"] = _delete_evidence(settings)
    done["renditions_deleted"] = _delete_renditions(store, settings)
    if (before := _cutoff(settings.score_retention_hours)) is not None:
        done["scores_deleted"] = store.delete_scores(before, _AT_ONCE)
    if (before := _cutoff(settings.decision_retention_hours)) is not None:
        done["decisions_deleted"] = store.decisions.delete(before)
    if (before := _cutoff(settings.verdict_retention_hours)) is not None:
        for job_id, tenant in store.ended(before, _AT_ONCE):
            with suppress(InputError):  # somebody else erased it meanwhile
                erase(store, redis, settings, job_id, tenant=tenant, actor="retention")
                done["jobs_erased"] += 1
    done["late_keys_deleted"] = purge_erased(store, redis, settings)
    return +done


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


def _delete_evidence(settings: Settings) -> int:
    before = _cutoff(settings.evidence_retention_hours)
    if before is None:
        return 0
    gone = 0
    for folder in (settings.data_dir / "evidence").glob("*/*"):
        with suppress(FileNotFoundError):
            if folder.stat().st_mtime < before.timestamp():
                shutil.rmtree(folder, ignore_errors=True)
                gone += 1
                with suppress(OSError):
                    folder.parent.rmdir()  # the last generation's went
    return gone
