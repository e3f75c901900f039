"""Uploads go when their time is up: never while a job may read one, never what the API did not write."""

import re
import stat
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from unmask.settings import Settings
from workers.store import Store

log = structlog.get_logger(__name__)

#: An upload that no job took (the API was killed half-way) may go once nothing wrote to it so long.
STRAY_AFTER_S = 24 * 3600.0
#: As console/web/intake/uploads.py names them: 16 random bytes in hex.
_NAME = re.compile(r"[0-9a-f]{32}")


def upload_name(settings: Settings, path: Path) -> str | None:
    """The name of an upload of the API's; None for media that lies elsewhere."""
    real = path.resolve()
    inside = real.parent == settings.uploads().resolve()
    return real.name if inside and _NAME.fullmatch(real.name) else None


def delete_old_uploads(store: Store, settings: Settings) -> int:
    """Delete uploads whose jobs ended longer ago than the settings keep them; how many.

    A job that is re-run holds on to its upload, and the time counts anew from its end.
    Raises StoreError; what the file system refuses is logged, and tried again as a stray.
    """
    folder, kept_s = settings.uploads(), settings.upload_retention_hours * 3600
    now_s = time.time()
    names = set(_strays(store, folder, now_s - max(STRAY_AFTER_S, kept_s)))
    if kept_s <= now_s:
        names |= set(store.release_uploads(datetime.fromtimestamp(now_s - kept_s, UTC)))
    return sum(_delete(folder / name) for name in sorted(names))


def _strays(store: Store, folder: Path, written_before_s: float) -> list[str]:
    """Old uploads that no job holds on to."""
    found = []
    with suppress(FileNotFoundError):  # nobody has uploaded anything yet
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                status = path.lstat()
                old = status.st_mtime < written_before_s
                if old and stat.S_ISREG(status.st_mode) and _NAME.fullmatch(path.name):
                    found.append(path.name)
    used = store.uploads_in_use(found)
    return [name for name in found if name not in used]


def _delete(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        log.warning("upload.kept", upload=path.name, error=str(error))
        return False
    return True
