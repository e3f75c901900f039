"""Uploads go when their time is up: never while a job may read one, never what the API did not write."""

import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from unmask.settings import Settings
from workers.store import Store
from workers.store.erasure import Whose

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
    folder, now_s = settings.uploads(), time.time()
    names: set[str] = set()
    longest_s = STRAY_AFTER_S
    for whose in groups(settings):
        kept_s = settings.kept_hours("upload", whose.only) * 3600
        longest_s = max(longest_s, kept_s)
        if kept_s <= now_s:
            before = datetime.fromtimestamp(now_s - kept_s, UTC)
            names |= set(store.release_uploads(before, whose=whose))
    names |= set(_strays(store, folder, now_s - longest_s))
    return sum(_delete(folder / name) for name in sorted(names))


def groups(settings: Settings) -> Iterator[Whose]:
    """Tenants whose data is kept by rules of their own, and all the others together."""
    yield Whose(besides=tuple(settings.tenants))
    yield from (Whose(only=tenant) for tenant in settings.tenants)


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
