"""Memory that is free goes back to the system, in processes that run for days."""

import ctypes
import time
from collections.abc import Callable


def _trimmer() -> Callable[[int], int] | None:
    """glibc's own way; None where the C library is another one."""
    try:
        found = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    found.argtypes, found.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda kept_bytes: int(found(kept_bytes))


class GivesBack:
    """Call it as often as you like: it acts once in `every_s` seconds.

    Pictures come and go in all sizes, and what is small and lives on lies between them: glibc gives
    back the end of its heap of itself, never the holes. A decoder held 60 MB of them, a watched stream
    grew by 50 MB whenever it had fallen behind (benchmarks/live_soak.py). Make one before a process
    is sealed: it looks the function up.
    """

    def __init__(self, every_s: float = 30.0) -> None:
        self._trim = _trimmer()
        self._every_s = every_s
        self._due = time.monotonic() + every_s

    def __call__(self) -> None:
        """Give back, when it is time to."""
        now = time.monotonic()
        if self._trim is not None and now >= self._due:
            self._trim(0)
            self._due = now + self._every_s
