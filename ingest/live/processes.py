"""Start and end the two processes of a stream. Whatever becomes of them, nothing is left."""

import os
import socket
import subprocess
import sys
from typing import Any

from ingest.live.wire import Wire

_KEPT = ("PATH", "PYTHONPATH", "LANG", "SSL_CERT_FILE", "UNMASK_FFMPEG")
_QUIET = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
#: Frames come and go for days: glibc must give their memory back, or the process grows by some
#: 30 MB per hour (benchmarks/live_soak.py).
_FRUGAL = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "131072"}


class Child:
    """A process of ours with a wire to it. Belongs to the thread that started it.

    It ends when that thread does: the kernel sees to it.
    """

    def __init__(self, module: str, job: dict[str, Any], max_payload: int, *files: int) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                # -P: a folder that holds an av.py must not become part of it.
                [
                    sys.executable,
                    "-P",
                    "-m",
                    module,
                    str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *files),
                env={k: os.environ[k] for k in _KEPT if k in os.environ} | _QUIET | _FRUGAL,
                # SRT's ffmpeg is a child of that child: they end together.
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.wire = Wire(ours, max_payload)
        try:
            # Not among its arguments: those can be read by everyone on the machine.
            self.wire.send({"kind": "job", **job})
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def end(self) -> None:
        """Kill it and whatever it started, and wait for it."""
        self.wire.close()
        try:
            os.killpg(self._process.pid, 9)
        except (ProcessLookupError, PermissionError):
            self._process.kill()
        self._process.wait()
