"""The process inside the sandbox: `python -m ingest.sandbox.child JOB`. Started by parent.py.

It gets three open descriptors and nothing else: the media, a socket to its parent, and the shared
memory that frames are put in, or the file that a rendition is written to. Every message is one line
of JSON; the parent answers with one byte for each frame it has taken, which frees its slot.
"""

import json
import mmap
import os
import socket
import sys

from ingest.sandbox.confine import confine, seal


def main() -> None:
    """Decode as the job in argv[1] says; every outcome goes through the socket."""
    job = json.loads(sys.argv[1])
    channel = socket.socket(fileno=job["channel"])
    try:
        held = confine(job["memory_bytes"], job["cpu_seconds"], write_bytes=job["write_bytes"])
        # After the locks, and so inside main: these bring half a million lines of C with them.
        from ingest.sandbox import decode_job  # noqa: PLC0415

        decode_job.import_everything()
        held += seal()
        _say(channel, {"kind": "held", "held": held})
        file = os.fdopen(job["media"], "rb")

        def say(message: dict[str, object]) -> None:
            _say(channel, message)

        if job["encode"]:
            decode_job.encode(file, os.fdopen(job["memory"], "wb"), job, say)
        else:
            decode_job.run(file, job, say, _Memory(channel, job["memory"]))
    except MemoryError:
        _say(channel, {"kind": "out_of_memory"})
    except (BrokenPipeError, ConnectionResetError):
        # The parent has gone; there is nobody to tell.
        sys.exit(1)
    except Exception as error:
        _say(channel, {"kind": "crashed", "error": f"{type(error).__name__}: {error}"[:500]})


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
