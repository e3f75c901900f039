"""The process inside the sandbox: `python -m ingest.sandbox.child BOUNDS`. Started by process.py.

It gets one open descriptor, a socket to its parent, and through that its job: the media, and the
shared memory that frames are put in, or the file that a rendition is written to. By then it is locked
in. Every message is one line of JSON; the parent answers with one byte for each frame it has taken,
which frees its slot.
"""

import array  # noqa: F401 - newer Pythons load it only as descriptors come: no file can be opened then
import json
import mmap
import os
import socket
import sys
from typing import Any

from ingest.sandbox.confine import confine, seal

_MAX_JOB = 1 << 16


def main() -> None:
    """Decode as the job says that comes through the socket; every outcome goes back the same way."""
    bounds = json.loads(sys.argv[1])
    channel = socket.socket(fileno=bounds["channel"])
    try:
        held = confine(
            bounds["memory_bytes"], bounds["cpu_seconds"], write_bytes=bounds["write_bytes"]
        )
        if os.getppid() != bounds["parent"]:
            sys.exit(1)  # it went before the kernel was asked to tell
        # After the locks, and so inside main: these bring half a million lines of C with them.
        from ingest.sandbox import decode_job  # noqa: PLC0415

        decode_job.import_everything()
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
        # The parent has gone; there is nobody to tell.
        sys.exit(1)
    except Exception as error:
        _say(channel, {"kind": "crashed", "error": f"{type(error).__name__}: {error}"[:500]})


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


if __name__ == "__main__":
    main()
