"""Files of ours: whole or absent, through a crash and a full disk, and for this user's eyes alone."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


def private_folder(path: Path) -> Path:
    """Make a folder, and those above it that are missing, that only this user can enter."""
    for each in reversed([path, *path.parents]):
        if not each.is_dir():
            each.mkdir(mode=0o700, exist_ok=True)
    return path


def made_private(path: Path) -> Path:
    """Make an empty file unless it is there, and close it to other users where it is ours."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        found = os.fstat(handle)
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
    return path


def write_private(path: Path, data: bytes) -> None:
    """Write a file (0600) so that, whatever happens, its name holds all of `data` or what it held.

    Raises OSError; nothing is left behind then.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a full disk of some file systems speaks up only here
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def sync_folder(path: Path) -> None:
    """Make what was renamed into a folder last through a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
