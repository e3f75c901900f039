"""A process that has loaded what jobs need, and forks one process for each of them.

A short video's job is mostly made of loading; a fork takes hundredths of a second
(benchmarks/job_processes.py). No job ever runs in the nursery itself, so a job still never sees
what another has left behind. It has one thread: a fork copies no lock that somebody holds. Where
it cannot keep to one, or dies, jobs get processes that load everything themselves.
"""

import importlib
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from unmask.settings import Settings
from unmask.system import logs
from workers.run.horses.horse_metrics import relay_to
from workers.run.lifeline import follow_parent

log = structlog.get_logger(__name__)

_PID = struct.Struct("=i")
_STATUS = struct.Struct("=i")
#: OpenBLAS begins its threads as it is loaded; jobs here have no use for them.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
#: A loaded nursery is waited for so long: less than a job is believed to live without a sign.
_FORK_S = 1.0
#: Exit code of a nursery that has more than one thread all the same.
_UNFIT = 3


class Nursery:
    """The worker's end."""

    def __init__(self, program: str, module: str, environment: Mapping[str, str]) -> None:
        """Start `program`, a module, which calls `forked_for_a_job` with the arguments after its name.

        `module`: what it loads; its `get_ready` is called in each forked process.
        """
        self._has_loaded = False
        self._asking, theirs = socket.socketpair()
        theirs.set_inheritable(True)
        self.pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", program, "--nursery", str(theirs.fileno()), module],
            {**environment, **_ONE_THREAD},
            setpgroup=0,
        )
        theirs.close()

    def fork(self, job: int, metrics: int, ended: int) -> None:
        """Ask for a process. Descriptors of its own: where it reads its job, where it relays metrics,
        where its wait status is written once it has ended. Raises OSError where the nursery is gone."""
        socket.send_fds(self._asking, [b"f"], [job, metrics, ended])

    def has_answered(self) -> bool:
        """Whether `forked` would return at once. A nursery that still loads is not waited for, one
        that has loaded is: its fork takes hundredths of a second, a process of one's own a second."""
        wait_s = _FORK_S if self._has_loaded else 0.0
        return bool(select.select([self._asking], [], [], wait_s)[0])

    def forked(self) -> int | None:
        """The process id of what was asked for; None where the nursery is gone."""
        with suppress(OSError):
            said = self._asking.recv(_PID.size, socket.MSG_WAITALL)
            if len(said) == _PID.size:
                self._has_loaded = True
                return int(_PID.unpack(said)[0])
        return None

    def end(self) -> bool:
        """No more processes are wanted; those there are end with it. Whether another nursery could
        do better: not where this one found itself unfit."""
        self._asking.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) != _UNFIT
        return True


def wait_status(ended: int) -> int | None:
    """Block until the process has ended: its wait status; None where the nursery died before."""
    said = os.read(ended, _STATUS.size)
    return int(_STATUS.unpack(said)[0]) if len(said) == _STATUS.size else None


def forked_for_a_job(descriptor: int, module: str) -> int:
    """In the nursery: load, then fork whenever asked. Returns in forked processes alone, which are
    ready: the descriptor that the job is read from. Ends with the worker."""
    logs.configure(Settings())
    # Whatever is missing is missed again by the job, which can say so to somebody.
    loaded = None
    with suppress(Exception):
        loaded = importlib.import_module(module)
    asking = socket.socket(fileno=descriptor)
    woken, waking = os.pipe()
    for end in (woken, waking):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    ended: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([asking.fileno(), woken], [], [])
        if woken in ready:
            with suppress(BlockingIOError):
                os.read(woken, 4096)
            _tell_ended(ended)
        if asking.fileno() not in ready:
            continue
        _, given, _, _ = socket.recv_fds(asking, 1, 3)
        if len(given) < 3:
            os._exit(0)  # the worker is gone
        if _threads() > 1:
            log.warning("nursery.unfit", threads=_threads(), module=module)
            os._exit(_UNFIT)
        job, metrics, status = given
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        nursery = os.getpid()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for inherited in (woken, waking, status, *ended.values()):
                os.close(inherited)
            asking.close()
            # A process group of its own from its first moment: RQ stops a job by killing its group.
            os.setpgid(0, 0)
            follow_parent(nursery, grace_s=0)
            relay_to(metrics)
            with suppress(Exception):
                if loaded is not None:
                    loaded.get_ready()
            return job
        ended[pid] = status
        os.close(job)
        os.close(metrics)
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        with suppress(OSError):
            asking.send(_PID.pack(pid))


def _tell_ended(ended: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = found
            if (descriptor := ended.pop(pid, None)) is not None:
                with suppress(OSError):
                    os.write(descriptor, _STATUS.pack(status))
                os.close(descriptor)


def _threads() -> int:
    """Of this process; one where the system does not tell."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else 1
