"""The private folder of built engines: data_dir/engines/PLUGIN/KEY/, or engine_dir/PLUGIN/KEY/.

A built engine is a program: whoever can write the file decides what the worker computes, and for
TensorRT what it executes. So the folder belongs to one user (0700, checked on every use), every
file's sha256 stands in `engine.json` beside it, and a file that does not match is refused before
any runtime reads it. Folders are written aside and renamed into place: a half-written engine is
never seen, and of two processes that build the same one, either's is kept.
"""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import structlog
from pydantic import ValidationError

from unmask.errors import CacheRefused
from unmask.frozen import Frozen
from unmask.settings import Settings
from unmask.system.hashing import file_sha256
from unmask.system.private_files import sync_folder, write_private
from workers.engines.engine_key import EngineKey

log = structlog.get_logger(__name__)

RECORD_FILE = "engine.json"
_MAX_RECORD_BYTES = 1 << 20
_CLEAR = "Run `unmask engines clear` and let it be built again; find out who wrote to the folder."


class EngineRecord(Frozen):
    """engine.json: what was built, and the hash of every file it consists of."""

    key: EngineKey
    files: dict[str, str]
    """File name -> sha256."""
    bytes: int
    created: str
    """ISO time, UTC."""
    seconds: float
    """How long the build took."""


class EngineCache:
    """Built engines on disk. Safe for several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of(cls, settings: Settings) -> "EngineCache":
        """The cache in `settings.engine_dir`, or else under `settings.data_dir`."""
        return cls(settings.engine_dir or settings.data_dir / "engines")

    def folder(self, key: EngineKey) -> Path:
        """Where the engine of `key` is, or would be."""
        return self.root / key.plugin / f"{key.engine}-{key.precision}-{key.digest()}"

    def find(self, key: EngineKey) -> Path | None:
        """The verified folder of an engine, or None where it was never built.

        Raises CacheRefused: wrong owner, loose permissions, missing or altered files.
        """
        folder = self.folder(key)
        if not folder.exists():
            return None
        record = self.verify(folder)
        if record.key != key:
            raise CacheRefused(
                key.engine, f"{folder} holds another engine than its name says.", fix=_CLEAR
            )
        return folder

    def verify(self, folder: Path) -> EngineRecord:
        """Check one engine's folder: owner, permissions, record, every hash. Raises CacheRefused."""
        for path in (self.root, folder.parent, folder):
            _require_private(path)
        record = read_record(folder)
        present = {path.name for path in folder.iterdir()} - {RECORD_FILE}
        if present != set(record.files):
            raise CacheRefused(
                record.key.engine,
                f"{folder} holds {sorted(present)}, its record lists {sorted(record.files)}.",
                fix=_CLEAR,
            )
        for name, expected in record.files.items():
            path = folder / name
            _require_private(path, is_file=True)
            found = file_sha256(path)
            if found != expected:
                raise CacheRefused(
                    record.key.engine,
                    f"{path} has sha256 {found[:12]}..., its record says {expected[:12]}....",
                    fix=_CLEAR,
                )
        return record

    def store(self, key: EngineKey, write: Callable[[Path], None]) -> Path:
        """Build an engine: `write` fills an empty folder. Returns the folder in its final place."""
        folder = self.folder(key)
        for path in (self.root, folder.parent):
            make_private(path)
        aside = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
        started, begun_s = datetime.now(UTC), time.monotonic()
        try:
            write(aside)
            files = {}
            size = 0
            for path in sorted(aside.iterdir()):
                path.chmod(0o600)
                size += path.stat().st_size
                files[path.name] = file_sha256(path)
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            record = EngineRecord(
                key=key,
                files=files,
                bytes=size,
                created=started.isoformat(timespec="seconds"),
                seconds=round(time.monotonic() - begun_s, 3),
            )
            write_private(aside / RECORD_FILE, record.model_dump_json(indent=2).encode())
            try:
                aside.rename(folder)
                sync_folder(folder.parent)
            except OSError:
                # Another process was quicker; its engine has the same key and must verify.
                if not folder.exists():
                    raise
                self.verify(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        log.debug("engine.stored", engine=f"{key.engine}-{key.precision}", plugin=key.plugin)
        return folder

    def remove(self, key: EngineKey) -> None:
        """Forget the engine of `key`, whatever its folder holds; nothing where it was never built."""
        folder = self.folder(key)
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)

    def folders(self) -> Iterator[Path]:
        """Every engine's folder, sorted, unfinished builds left out."""
        if self.root.is_dir():
            yield from sorted(
                path
                for path in self.root.glob("*/*")
                if path.is_dir() and not path.name.startswith(".")
            )


def read_record(folder: Path) -> EngineRecord:
    """Parse engine.json of one engine's folder. Raises CacheRefused."""
    path = folder / RECORD_FILE
    _require_private(path, is_file=True)
    try:
        if path.stat().st_size > _MAX_RECORD_BYTES:
            raise CacheRefused(folder.name, f"{path} is too large for a record.", fix=_CLEAR)
        return EngineRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CacheRefused(
            folder.name, f"{path} cannot be read ({error.strerror}).", fix=_CLEAR
        ) from error
    except ValidationError as error:
        raise CacheRefused(
            folder.name, f"{path} is not an engine record: {error.errors()[0]['msg']}.", fix=_CLEAR
        ) from error


def make_private(path: Path) -> None:
    """Make a folder that only this user can enter; parents as the umask has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    _require_private(path)


def _require_private(path: Path, *, is_file: bool = False) -> None:
    try:
        found = path.lstat()
    except OSError as error:
        raise CacheRefused(path.name, f"{path}: {error.strerror}.", fix=_CLEAR) from error
    if stat.S_ISLNK(found.st_mode):
        raise CacheRefused(path.name, f"{path} is a symbolic link.", fix=_CLEAR)
    if is_file and not stat.S_ISREG(found.st_mode):
        raise CacheRefused(path.name, f"{path} is no plain file.", fix=_CLEAR)
    if found.st_uid != os.geteuid():
        raise CacheRefused(
            path.name,
            f"{path} belongs to user {found.st_uid}, not to {os.geteuid()}.",
            fix="Give every user their own UNMASK_DATA_DIR, or UNMASK_ENGINE_DIR.",
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise CacheRefused(
            path.name,
            f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):04o}).",
            fix=f"Run `chmod -R go= {path}`, then `unmask engines verify`.",
        )
