"""The process that decoders are forked from: `python -m ingest.sandbox.template HELD`. See process.py.

It loads PyAV and numpy once, sees no media ever, and has one thread. Each decoder locks itself in after the
fork, and decodes one video. What forked processes share is where their code lies in memory: so the
template starts itself anew after so many, with another layout.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, NoReturn

from ingest.sandbox import child, decode_job
from ingest.sandbox.line import tell

#: Decoders with one address layout.
_RENEWED_AFTER = 64
_MAX_BOUNDS = 1 << 12


class _Template:
    def __init__(self, asking: int, lines: dict[int, int]) -> None:
        self._asking = socket.socket(fileno=asking)
        self._lines = lines
        """Of each decoder that lives, the socket to whoever wants it."""
        self._forked = 0
        self._asked = True
        """Whether anybody is left who could ask."""
        self._woken, self._waking = os.pipe()
        for end in (self._woken, self._waking):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # A terminal's Ctrl-C is for those who ask: their end is the decoders' end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(self._waking, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Fork whenever asked, until nobody is left who could ask and no decoder runs."""
        self._tell_ended()
        while self._asked or self._lines:
            if self._asked and self._forked >= _RENEWED_AFTER:
                self._renew()
            asking = [self._asking.fileno()] if self._asked else []
            ready, _, _ = select.select([*asking, self._woken, *self._lines.values()], [], [])
            if self._woken in ready:
                with suppress(BlockingIOError):
                    os.read(self._woken, 4096)
            for pid, line in self._lines.items():
                if line in ready:  # nothing is ever said on it: its other end is shut
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            self._tell_ended()
            if self._asking.fileno() in ready:
                self._fork()

    def _fork(self) -> None:
        said, given, _, _ = socket.recv_fds(self._asking, _MAX_BOUNDS, 2)
        if not said:
            self._asked = False
            return
        if len(given) != 2:  # no descriptors are free: whoever asked hears the end of its sockets
            for descriptor in given:
                os.close(descriptor)
            return
        channel, line = given
        template = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # the line closes without a word
        if pid == 0:
            self._become_a_decoder(json.loads(said), channel, line, template)
        os.close(channel)
        if pid < 0:
            os.close(line)
            return
        self._forked += 1
        self._lines[pid] = line
        tell(line, pid)

    def _become_a_decoder(
        self, bounds: dict[str, Any], channel: int, line: int, template: int
    ) -> NoReturn:
        code = 1
        with suppress(BaseException):
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._asking.close()
            for inherited in (self._woken, self._waking, line, *self._lines.values()):
                os.close(inherited)
            code = child.decode_one(socket.socket(fileno=channel), bounds, template)
        os._exit(code)

    def _tell_ended(self) -> None:
        """Whoever waits for a decoder is told how it ended."""
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = found
                line = self._lines.pop(pid, None)
                if line is not None:
                    tell(line, os.waitstatus_to_exitcode(status))
                    os.close(line)

    def _renew(self) -> None:
        """Start anew in this very process: decoders that run stay its children, requests wait."""
        asking = self._asking.fileno()
        for descriptor in (asking, *self._lines.values()):
            os.set_inheritable(descriptor, True)
        held = json.dumps({"asking": asking, "lines": self._lines})
        with suppress(OSError):
            os.execv(  # noqa: S606 - the program is our own
                sys.executable, [sys.executable, "-P", "-m", __spec__.name, held]
            )
        self._forked = 0  # a new one cannot be started now


def main() -> None:
    """Load, then serve."""
    held = json.loads(sys.argv[1])
    lines = {int(pid): line for pid, line in held["lines"].items()}
    for descriptor in (held["asking"], *lines.values()):
        os.set_inheritable(descriptor, False)
    template = _Template(held["asking"], lines)
    decode_job.import_everything()
    gc.collect()
    gc.freeze()  # what is loaded stays in pages that all decoders share
    template.serve()


if __name__ == "__main__":
    main()
