"""A process that has loaded what a job needs and waits for one: a job then begins at once.

Loading takes a second or two, of which a short video's job is mostly made. Each spare process takes
one job and ends with it, so that a job still never sees what another has left behind; its decoder is
started, and locked in, after the job has come, as ever.
"""

import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from unmask.settings import Settings
from unmask.system import logs
from workers.run.horses.horse_metrics import FromHorse


class SpareProcess:
    """The worker's end."""

    def __init__(self, program: str, module: str, environment: Mapping[str, str]) -> None:
        """Start `program`, a module, which calls `job_arguments` with the arguments after its name.

        `module`: whose `get_ready` loads what its jobs need.
        """
        self.from_process = FromHorse()
        reading, self._writing = os.pipe()
        os.set_inheritable(reading, True)
        # A process group of its own from its first moment: RQ stops a job by killing its group.
        self._pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", program, "--wait", str(reading), module],
            {**environment, **self.from_process.environment},
            setpgroup=0,
        )
        os.close(reading)
        self.from_process.spawned()

    def take(self, arguments: Sequence[str]) -> int | None:
        """Hand it its job: its process id, or None where it has ended meanwhile."""
        gone, _ = os.waitpid(self._pid, os.WNOHANG)
        given = gone == 0
        if given:
            with suppress(BrokenPipeError):
                os.write(self._writing, json.dumps(list(arguments)).encode())
        else:
            self.from_process.absorb()
        os.close(self._writing)
        return self._pid if given else None

    def end(self) -> None:
        """It is not needed any more."""
        os.close(self._writing)
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        self.from_process.absorb()


def job_arguments(descriptor: int, module: str) -> list[str] | None:
    """In the process: get ready, then wait for the job. None where the worker wants none done."""
    logs.configure(Settings())
    # Whatever is missing is missed again by the job, which can say so to somebody.
    with suppress(Exception):
        importlib.import_module(module).get_ready()
    with os.fdopen(descriptor, "rb") as reading:
        said = reading.read()
    if not said:
        return None
    arguments: list[str] = json.loads(said)
    return arguments
