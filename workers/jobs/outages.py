"""Whose fault an error is: the media's, the machine's, or ours. Nothing else decides it.

An outage never ends a job: disk, memory, Redis, database, network and permissions come back. The
media's own faults are InputErrors and end it. What is left is a bug, or a file that provokes one: it
is tried a few times.
"""

import errno
from collections.abc import Iterator

from redis.exceptions import RedisError

from unmask.errors import DecoderKilled, IdempotencyConflict, InputError, ReasonCode, UnmaskError
from unmask.messages import Reason

_BY_ERRNO = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), ReasonCode.DISK_FULL),
    errno.ENOMEM: ReasonCode.OUT_OF_MEMORY,
    **dict.fromkeys((errno.EMFILE, errno.ENFILE, errno.EAGAIN), ReasonCode.OUT_OF_RESOURCES),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), ReasonCode.PERMISSION_DENIED),
    **dict.fromkeys(
        (
            errno.ECONNREFUSED,
            errno.ECONNRESET,
            errno.ECONNABORTED,
            errno.EHOSTUNREACH,
            errno.ENETUNREACH,
            errno.ENETDOWN,
            errno.ETIMEDOUT,
            errno.EPIPE,
        ),
        ReasonCode.NETWORK_UNAVAILABLE,
    ),
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.EBUSY),
        ReasonCode.DEVICE_UNAVAILABLE,
    ),
}
_FIX = {
    ReasonCode.DISK_FULL: "Free space where UNMASK_DATA_DIR and the temporary files lie.",
    ReasonCode.OUT_OF_MEMORY: "Give the worker more memory, or run fewer of them.",
    ReasonCode.OUT_OF_RESOURCES: "Raise the limits on open files and processes.",
    ReasonCode.PERMISSION_DENIED: "Give the worker's user the right to write to UNMASK_DATA_DIR.",
    ReasonCode.NETWORK_UNAVAILABLE: "Check the network between the workers and their servers.",
    ReasonCode.DEVICE_UNAVAILABLE: "Check the disk or the network file system.",
    ReasonCode.BROKER_UNAVAILABLE: "Check that Redis runs and has memory left.",
}


def outage_of(error: BaseException) -> Reason | None:
    """The outage behind an error, with its fix; None where it is the media's fault or a bug.

    >>> outage_of(OSError(28, "No space left on device")).code.value
    'disk_full'
    >>> outage_of(ValueError("a bug")) is None
    True
    """
    for each in _causes(error):
        if isinstance(each, InputError | IdempotencyConflict | DecoderKilled):
            return None
        if isinstance(each, UnmaskError):
            return Reason(code=each.code, message=str(each))
        code = _code(each)
        if code is not None:
            cause = str(each) or type(each).__name__
            return Reason(code=code, message=f"{cause.rstrip('.')}. {_FIX[code]}")
    return None


def _code(error: BaseException) -> ReasonCode | None:
    if isinstance(error, RedisError):
        return ReasonCode.BROKER_UNAVAILABLE
    if isinstance(error, MemoryError):
        return ReasonCode.OUT_OF_MEMORY
    if isinstance(error, OSError):
        if isinstance(error, ConnectionError | TimeoutError):
            return ReasonCode.NETWORK_UNAVAILABLE
        return _BY_ERRNO.get(error.errno or 0)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from or in answer to."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
