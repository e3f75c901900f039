"""Where the pixels of crops lie while they wait: in the stream itself, or in shared memory.

On one host a reference travels through Redis and the pixels stay where ingest wrote them: one file
per stream entry in /dev/shm, which every plugin of a scorer maps and none copies. Between hosts the
pixels travel. The entry says which, so that both kinds may share a stream; where shared memory is
full, ingest puts the pixels into the stream and goes on.
"""

import contextlib
import hashlib
import mmap
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import structlog
from numpy.typing import NDArray
from redis import Redis

from unmask.plugin import Images
from unmask.queues import FIELD_PIXELS, FIELD_REFERENCE
from unmask.settings import Settings

log = structlog.get_logger(__name__)

Bytes = NDArray[np.uint8]
Kind = Literal["shm", "redis"]

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, checked
_SUFFIX = ".crops"
#: A file younger than this may belong to an entry that is being written.
_STRAY_AFTER_S = 120.0


class PixelsGone(ValueError):
    """The entry's pixels are not in this host's shared memory any more: ingest must cut them again."""


class PixelsElsewhere(ValueError):
    """The entry's pixels lie in the shared memory of another host."""


class CropStore:
    """Pixels of the crops on their way from this host's ingest.

    A folder per deployment: two on one host must not delete each other's.
    """

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self._swept_s = 0.0

    def put(self, job: tuple[str, int], pixels: Sequence[Images]) -> tuple[str, bytes]:
        """Keep one entry's crops; the stream field that says where, and its value."""
        if self.kind == "shm":
            try:
                return FIELD_REFERENCE, self._write(job, pixels)
            except OSError as error:  # full, or not to be written to: the stream takes them
                log.warning("crops.not_shared", error=str(error))
        return FIELD_PIXELS, b"".join(image.tobytes() for image in pixels)

    def drop(self, field: str, value: bytes) -> None:
        """The entry was not added after all: what `put` wrote is removed."""
        if field == FIELD_REFERENCE:
            self._path(value).unlink(missing_ok=True)

    def sweep(
        self, wanted: Callable[[tuple[str, int], bytes], bool], *, every_s: float = 60.0
    ) -> int:
        """Remove files that no job refers to: a killed process left them.

        `wanted(job, reference)`: whether the job still names that reference. Looks through the folder once in `every_s` seconds. Returns how many went.
        """
        now = time.monotonic()
        if self.kind != "shm" or now - self._swept_s < every_s:
            return 0
        self._swept_s = now
        gone = 0
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                young = time.time() - path.stat().st_mtime < _STRAY_AFTER_S
                if not young and not wanted(_job_of(path.name), self._reference(path.name)):
                    path.unlink()
                    gone += 1
        return gone

    def _write(self, job: tuple[str, int], pixels: Sequence[Images]) -> bytes:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        found = self.folder.lstat()
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise OSError(f"{self.folder} is not ours alone")
        size = sum(image.nbytes for image in pixels)
        room = os.statvfs(self.folder)
        if room.f_bavail * room.f_frsize < 2 * size:
            raise OSError(f"{self.folder} has no room for {size} bytes")
        name = f"{_stem(job)}.{secrets.token_hex(8)}{_SUFFIX}"
        part = self.folder / f".{name}"
        try:
            with part.open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
                for image in pixels:
                    file.write(np.ascontiguousarray(image).data)
            part.rename(self.folder / name)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return self._reference(name)

    def _reference(self, name: str) -> bytes:
        return f"shm:{host()}/{self.folder.name}/{name}".encode()

    def _path(self, reference: bytes) -> Path:
        return self.folder / reference.decode().rsplit("/", 1)[1]


def store_for(redis: "Redis", settings: Settings) -> CropStore:
    """The store of the deployment around `redis`: a Unix socket can serve this host alone."""
    at = redis.connection_pool.connection_kwargs
    socket = at.get("path")
    kind: Kind = "redis"
    if settings.crop_store == "shm" or (settings.crop_store == "auto" and socket):
        kind = "shm" if os.access(_SHARED_MEMORY, os.W_OK) else "redis"
    return CropStore(
        kind, folder_for(socket or f"{at.get('host')}:{at.get('port')}/{at.get('db')}")
    )


def folder_for(broker: str, root: Path = _SHARED_MEMORY) -> Path:
    """The folder of the deployment whose Redis is at `broker`: one user's, one Redis's."""
    return root / f"unmask-{os.getuid()}-{hashlib.sha256(broker.encode()).hexdigest()[:12]}"


def pixels_of(fields: Mapping[bytes, bytes], *, root: Path = _SHARED_MEMORY) -> Bytes:
    """The bytes of an entry's crops, one after the other, read-only; shared memory is not copied.

    Raises PixelsGone, PixelsElsewhere, and ValueError for an entry that is not one of ours.
    """
    if (inline := fields.get(FIELD_PIXELS.encode())) is not None:
        return np.frombuffer(inline, dtype=np.uint8)
    reference = fields.get(FIELD_REFERENCE.encode())
    if reference is None:
        raise ValueError("entry without pixels or a reference to them")
    scheme, _, rest = reference.decode().partition(":")
    where, _, path = rest.partition("/")
    folder, _, name = path.partition("/")
    if scheme != "shm" or not name.endswith(_SUFFIX) or "/" in name or ".." in path:
        raise ValueError(f"entry with a reference that is not ours: {reference!r}")
    if where != host():
        raise PixelsElsewhere(
            f"the crops lie in the shared memory of another host ({where}): "
            "set UNMASK_CROP_STORE=redis where ingest and scoring are on different machines."
        )
    try:
        with (root / folder / name).open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, PermissionError) as error:
        raise PixelsGone(str(error)) from error
    return np.frombuffer(mapped, dtype=np.uint8)


def remove(references: Iterable[bytes], *, root: Path = _SHARED_MEMORY) -> None:
    """Remove the files of these references, as far as they are this host's."""
    for reference in references:
        where, _, path = reference.decode().removeprefix("shm:").partition("/")
        if where == host() and ".." not in path:
            (root / path).unlink(missing_ok=True)


@cache
def host() -> str:
    """What a process must share with another to see the same /dev/shm: this boot, this mount."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    seen = boot.read_text() if boot.is_file() else os.uname().nodename
    device = _SHARED_MEMORY.stat().st_dev if _SHARED_MEMORY.is_dir() else 0
    return hashlib.sha256(f"{seen}{device}".encode()).hexdigest()[:12]


def _job_of(name: str) -> tuple[str, int]:
    """The job whose crops a file of this name holds; no job's where it is none of ours."""
    job_id, _, rest = name.partition(".")
    generation = rest.partition(".")[0]
    return job_id, int(generation) if generation.isdigit() else -1


def _stem(job: tuple[str, int]) -> str:
    return f"{job[0]}.{job[1]}"
