"""The decoder's process, as whoever wants a video decoded holds it.

A decoder is forked from a template that has everything loaded and has seen no media (template.py); it
then locks itself in and decodes one video. A template belongs to the process that asks, or to a worker
that lends it to the processes of its jobs.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from ingest.sandbox.line import hear
from unmask.settings import Settings

log = structlog.get_logger(__name__)

#: A template, or a decoder that was killed, is waited for so long.
_END_S = 5.0
#: Names the descriptor at which a worker's template is asked.
_LENT = "UNMASK_DECODER_TEMPLATE"


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the kernel holds the process to, from its first moment."""

    memory_bytes: int
    cpu_seconds: int
    write_bytes: int = 0
    """The longest that the file may become which it is given to write; it opens none itself."""


class Template:
    """Where decoders come from. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Have one that loads, so that the first video need not wait for it."""
        with self._lock:
            self._there()

    def lend(self) -> None:
        """To every process that is started from now on with this one's environment."""
        with self._lock:
            asking = self._there()
            asking.set_inheritable(True)
            os.environ[_LENT] = str(asking.fileno())

    def fork(self, bounds: Bounds, channel: socket.socket, line: socket.socket) -> None:
        """A decoder that talks through `channel`; its process id and its end are told on `line`.

        Raises OSError where no template can be started.
        """
        said = [json.dumps(asdict(bounds)).encode()]
        given = [channel.fileno(), line.fileno()]
        with self._lock:
            try:
                socket.send_fds(self._there(), said, given)
            except (BrokenPipeError, ConnectionResetError):
                log.warning("decoder.template_gone", own=self._process is not None)
                self._close()
                socket.send_fds(self._there(), said, given)

    def end(self) -> None:
        """No more videos come. Decoders that run still end by themselves."""
        with self._lock:
            self._close()

    def _there(self) -> socket.socket:
        if self._asking is None:
            self._asking = self._lent() or self._started()
        return self._asking

    def _lent(self) -> socket.socket | None:
        descriptor = os.environ.pop(_LENT, None)
        if descriptor is None:
            return None
        try:
            lent = socket.socket(fileno=int(descriptor))
        except OSError:
            return None  # an environment that was handed on without its descriptors
        if lent.type != socket.SOCK_SEQPACKET:
            lent.detach()  # somebody else's, who came by the same number
            return None
        return lent

    def _started(self) -> socket.socket:
        # Each message is whole and has its descriptors, whoever else asks at the same time.
        asking, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        held = json.dumps({"asking": theirs.fileno(), "lines": {}})
        try:
            self._process = subprocess.Popen(
                # -P: a folder that holds an av.py must not become part of the decoder.
                [sys.executable, "-P", "-m", "ingest.sandbox.template", held],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=_environment(),
            )
        except BaseException:
            asking.close()
            raise
        finally:
            theirs.close()
        return asking

    def _close(self) -> None:
        asking, self._asking = self._asking, None
        process, self._process = self._process, None
        if asking is not None:
            asking.close()
        if process is not None:
            # It waits for decoders that run, and for those to whom it was lent.
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_END_S)


TEMPLATE = Template()
"""Of this process."""
atexit.register(TEMPLATE.end)


class DecoderProcess:
    """One process for one video, and the socket that it talks through."""

    def __init__(self, bounds: Bounds) -> None:
        """Ask for it. It ends when this object's process does: the template sees to that."""
        self.channel, theirs = socket.socketpair()
        self._line, line = socket.socketpair()
        self._pid: int | None = None
        self._status: int | None = None
        try:
            TEMPLATE.fork(bounds, theirs, line)
        except BaseException:
            self.channel.close()
            self._line.close()
            raise
        finally:
            theirs.close()
            line.close()

    @property
    def pid(self) -> int:
        """Its process id, once it is forked. Raises OSError where it could not be."""
        if self._pid is None:
            self._pid = hear(self._line, None)
        if self._pid is None:
            raise ProcessLookupError("the decoder was never started")
        return self._pid

    def lives(self) -> bool:
        """Whether it has not ended yet."""
        try:
            self.status(wait_s=0)
        except TimeoutError:
            return True
        return False

    def give(self, job: dict[str, Any], *descriptors: int) -> None:
        """What to decode, with open descriptors of it. A dead process takes it without a word: whoever
        reads from it next hears the end."""
        with suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self.channel, [json.dumps(job).encode() + b"\n"], descriptors)

    def status(self, wait_s: float | None = None) -> int:
        """As Popen's returncode, once it has ended. Raises TimeoutError."""
        if self._status is None:
            if self._pid is None:
                self._pid = hear(self._line, wait_s)
            said = None if self._pid is None else hear(self._line, wait_s)
            # Without a word the template has died, and its decoders with it.
            self._status = -signal.SIGKILL if said is None else said
        return self._status

    def end(self) -> None:
        """Kill it, and wait for it."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            self.status(_END_S)
        self._line.close()
        self.channel.close()


def bounds_for(settings: Settings, write_bytes: int = 0) -> Bounds:
    """Of one video's decoder."""
    return Bounds(
        memory_bytes=settings.decode_memory_bytes,
        cpu_seconds=max(1, int(settings.decode_timeout_s) + 1),
        write_bytes=write_bytes,
    )


def _environment() -> dict[str, str]:
    """No secret of the worker's environment reaches the decoder."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    # One thread: a namespace can only be left by a process without others, and each reserves memory.
    return kept | {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
