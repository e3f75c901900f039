"""What a decoder does, from the fork on: lock itself in, be told its video, decode it (template.py).

It has one open descriptor, a socket to whoever wants the video, and through that gets its job: the media, and
the shared memory that frames are put in, or the file that a rendition is written to. By then it is locked
in. Every message is one line of JSON; the parent answers with one byte for each frame it has taken,
which frees its slot.
"""

import array  # noqa: F401 - newer Pythons load it only as descriptors come: no file can be opened then
import json
import mmap
import os
import resource
import socket
from pathlib import Path
from typing import Any

from ingest.sandbox import decode_job
from ingest.sandbox.confine import confine, seal

_MAX_JOB = 1 << 16
#: With less than that to spare no video can be begun.
_LEAST_BYTES = 16 << 20


def decode_one(channel: socket.socket, bounds: dict[str, int], template: int) -> int:
    """Decode as the job says that comes through the socket; every outcome goes back the same way.

    `bounds`: as process.Bounds. `template`: process id of the parent. Returns the exit code.
    """
    try:
        held = confine(
            bounds["memory_bytes"], bounds["cpu_seconds"], write_bytes=bounds["write_bytes"]
        )
        if os.getppid() != template:
            return 1  # it went before the kernel was asked to tell
        if _mapped_bytes() + _LEAST_BYTES > bounds["memory_bytes"]:
            raise MemoryError
        held += seal()
        job, (media, memory) = _job(channel)
        # Only now: what becomes of a process that says so may be the media's doing.
        _say(channel, {"kind": "held", "held": held})
        file = os.fdopen(media, "rb")

        def say(message: dict[str, object]) -> None:
            _say(channel, message)

        if job["encode"]:
            decode_job.encode(file, os.fdopen(memory, "wb"), job, say)
        else:
            decode_job.run(file, job, say, _Memory(channel, memory))
    except MemoryError:
        _say(channel, {"kind": "out_of_memory"})
    except (BrokenPipeError, ConnectionResetError):
        return 1  # the parent has gone; there is nobody to tell
    except Exception as error:
        _say(channel, {"kind": "crashed", "error": f"{type(error).__name__}: {error}"[:500]})
    return 0


def _mapped_bytes() -> int:
    """What counts against the limit of memory by now; 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    except OSError:
        return 0
    return int(pages) * resource.getpagesize()


def _job(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What to decode, and its two descriptors."""
    line, files, _, _ = socket.recv_fds(channel, _MAX_JOB, 2)
    while not line.endswith(b"\n"):
        more = channel.recv(_MAX_JOB)
        if not more:
            raise BrokenPipeError
        line += more
    return json.loads(line), files


def _say(channel: socket.socket, message: dict[str, object]) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


class _Memory:
    """Slots of one frame each in memory shared with the parent, who frees them in order."""

    def __init__(self, channel: socket.socket, descriptor: int) -> None:
        self._channel = channel
        self._descriptor = descriptor
        self._map: mmap.mmap | None = None
        self._slot_bytes = 0
        self._slots = 0
        self._used = 0
        self._free = 0

    def size(self, slot_bytes: int, slots: int) -> None:
        """Wait for the parent's word that the memory is there, then map it."""
        self._wait()
        self._map = mmap.mmap(self._descriptor, slot_bytes * slots)
        self._slot_bytes, self._slots, self._free = slot_bytes, slots, slots

    def put(self, pixels: memoryview) -> None:
        """Copy one frame into the next slot, waiting until the parent has freed it."""
        assert self._map is not None  # noqa: S101 (sized before the first frame)
        if self._free == 0:
            self._wait()
            self._free += 1
        start = (self._used % self._slots) * self._slot_bytes
        self._map[start : start + self._slot_bytes] = pixels
        self._used += 1
        self._free -= 1

    def _wait(self) -> None:
        if not self._channel.recv(1):
            raise BrokenPipeError
