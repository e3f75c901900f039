"""The decoder's process: started, locked in, then told what to decode. One may be started ahead.

Starting and loading take longer than a short video's decoding. A process that was started ahead is
as fresh as any: it has its locks, has seen no media, and decodes one video.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from unmask.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the kernel holds the process to, from its first moment."""

    memory_bytes: int
    cpu_seconds: int
    write_bytes: int = 0
    """The longest that the file may become which it is given to write; it opens none itself."""


class DecoderProcess:
    """One process for one video, and the socket that it talks through."""

    def __init__(self, bounds: Bounds) -> None:
        """Start it. It ends when the thread that started it does: the kernel sees to that."""
        self.bounds = bounds
        self.channel, theirs = socket.socketpair()
        told = {"channel": theirs.fileno(), "parent": os.getpid(), **asdict(bounds)}
        try:
            self._process = subprocess.Popen(
                # -P: a folder that holds an av.py must not become part of the decoder.
                [sys.executable, "-P", "-m", "ingest.sandbox.child", json.dumps(told)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=_environment(),
            )
        except BaseException:
            self.channel.close()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def lives(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def give(self, job: dict[str, Any], *descriptors: int) -> None:
        """What to decode, with open descriptors of it. A dead process takes it without a word: whoever
        reads from it next hears the end."""
        with suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self.channel, [json.dumps(job).encode() + b"\n"], descriptors)

    def status(self, wait_s: float | None = None) -> int:
        """As Popen's returncode, once it has ended. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout=wait_s)

    def end(self) -> None:
        """Kill it, and wait for it."""
        self._process.kill()
        self._process.wait()
        self.channel.close()


def bounds_for(settings: Settings, write_bytes: int = 0) -> Bounds:
    """Of one video's decoder."""
    return Bounds(
        memory_bytes=settings.decode_memory_bytes,
        cpu_seconds=max(1, int(settings.decode_timeout_s) + 1),
        write_bytes=write_bytes,
    )


class Ahead:
    """At most one process that waits for the next video."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.process: DecoderProcess | None = None

    def start(self, settings: Settings) -> None:
        """Have one, unless there is one."""
        with self._lock:
            if self.process is not None and self.process.lives():
                return
            gone, self.process = self.process, None
            if gone is not None:
                gone.end()
            begun: Future[DecoderProcess | None] = Future()
            threading.Thread(
                target=_start_and_outlive,
                args=(bounds_for(settings), begun),
                name="decoder-ahead",
                daemon=True,
            ).start()
            self.process = begun.result()

    def take(self, bounds: Bounds) -> DecoderProcess:
        """It, where it lives and has these bounds; else a new one, and it ends: it is for another kind
        of work than there is."""
        with self._lock:
            found, self.process = self.process, None
        if found is not None:
            if found.bounds == bounds and found.lives():
                return found
            found.end()
        return DecoderProcess(bounds)

    def end(self) -> None:
        """It will not be needed."""
        with self._lock:
            gone, self.process = self.process, None
        if gone is not None:
            gone.end()


def _start_and_outlive(bounds: Bounds, begun: "Future[DecoderProcess | None]") -> None:
    """In a thread of its own: the decoder would end with whichever other thread had started it."""
    try:
        process = DecoderProcess(bounds)
    except OSError:
        # Whatever is in the way of one is met again by the video, which can say so to somebody.
        begun.set_result(None)
        return
    begun.set_result(process)
    process.status()


AHEAD = Ahead()
"""Of this process."""


def _environment() -> dict[str, str]:
    """No secret of the worker's environment reaches the decoder."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    # One thread: a namespace can only be left by a process without others, and each reserves memory.
    return kept | {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
