"""Lock the current process in, with what the kernel offers and no privilege: the decoder's cage.

Called in the decoding subprocess only, before it has seen a byte of the media. Each step reports
whether it holds; none is fatal, because a container's own policy may already forbid or provide it.

    limits    memory, CPU seconds, open files, no core dump, no file written but the one given
    no-privs  no set-uid program can raise privileges any more
    network   an empty network namespace: no route, no loopback, no abstract sockets
    landlock  no file created, written, truncated or executed; no TCP (kernel 5.13, TCP 6.7)
    sealed    after the imports: no file opened at all, by anyone's name
"""

import contextlib
import ctypes
import os
import resource
import signal
import struct

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
# Landlock has no wrapper in libc; its numbers are the same on every architecture.
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_FS_READ = 0b1100
#: Access rights by the Landlock version that brought them: execute, write, remove, make; then refer,
#: truncate, device ioctl.
_FS_WRITE_BY_VERSION = {1: 0x1FFF & ~_FS_READ, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_NET_VERSION, _NET_BIND, _NET_CONNECT = 4, 0b01, 0b10


#: Every lock there is; what a kernel lacks is not held.
LOCKS = ("limits", "no-privs", "network", "landlock", "sealed")


def confine(
    memory_bytes: int,
    cpu_seconds: int | None,
    *,
    offline: bool = True,
    may_start: bool = False,
    write_bytes: int = 0,
) -> list[str]:
    """Apply every lock but the last. Call before threads exist. Returns what is in force.

    `cpu_seconds` None: no limit, for streams. `offline` False: for a process that owns a stream's
    socket, which may connect and decodes nothing; `may_start`: and may start a program.
    `write_bytes`: the longest that a file may become which was opened for it beforehand.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    # Dies with its parent, even one killed with SIGKILL.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for kind, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, resource.RLIM_INFINITY if cpu_seconds is None else cpu_seconds),
        (resource.RLIMIT_FSIZE, write_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        _lower(kind, limit)
    held = ["limits"]
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        held.append("no-privs")
    # Root may leave the network alone; anyone else needs a user namespace around it.
    if offline and (
        libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    ):
        held.append("network")
    if not may_start and _landlock(libc, read=True, connect=not offline):
        held.append("landlock")
    return held


def seal() -> list[str]:
    """The last lock: from here on no file can be opened. Call when everything is imported."""
    return ["sealed"] if _landlock(ctypes.CDLL(None, use_errno=True), read=False) else []


def _lower(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (limit, limit))


def _landlock(libc: ctypes.CDLL, *, read: bool, connect: bool = False) -> bool:
    """Deny every write, every read too unless `read`, and TCP but for what `connect` opens.

    False where the kernel cannot.
    """
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return False
    files = sum(rights for since, rights in _FS_WRITE_BY_VERSION.items() if version >= since)
    if not read:
        files |= _FS_READ
    net = _NET_BIND if connect else _NET_BIND | _NET_CONNECT
    attributes = struct.pack("=QQ", files, net)[: 16 if version >= _NET_VERSION else 8]
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        return bool(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)
