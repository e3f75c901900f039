"""A process that is ready for the next job and waits for it: a job then begins at once.

Each takes one job and ends with it, and so does the decoder beside it, which waits behind its locks.
"""

import json
import os
import select
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from workers.run.horses.horse_metrics import FromHorse
from workers.run.horses.nursery import Nursery, wait_status


class Taken(NamedTuple):
    """A process that has its job."""

    pid: int
    ended: int
    """Descriptor of its wait status."""
    metrics: FromHorse


class SpareProcess:
    """The worker's end."""

    def __init__(self, nursery: Nursery) -> None:
        """Raises OSError where the nursery is gone."""
        self._nursery = nursery
        self._metrics = FromHorse()
        reading, self._writing = os.pipe()
        self._ended, ended = os.pipe()
        try:
            nursery.fork(reading, self._metrics.descriptor, ended)
        except OSError:
            for own in (self._writing, self._ended):
                os.close(own)
            self._metrics.spawned()
            self._metrics.absorb()
            raise
        finally:
            os.close(reading)
            os.close(ended)
        self._metrics.spawned()
        self._pid: int | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, once the nursery has loaded; None where that is gone."""
        if self._pid is None:
            self._pid = self._nursery.forked()
        return self._pid

    @property
    def is_there(self) -> bool:
        """Whether it is worth asking for: not while the nursery still loads."""
        return self._pid is not None or self._nursery.has_answered()

    def take(self, arguments: Sequence[str]) -> Taken | None:
        """Hand it its job; None where it has ended meanwhile."""
        pid = self.pid
        gone = pid is None or bool(select.select([self._ended], [], [], 0)[0])
        if not gone:
            with suppress(BrokenPipeError):
                os.write(self._writing, json.dumps(list(arguments)).encode())
        os.close(self._writing)
        if pid is None or gone:
            os.close(self._ended)
            self._metrics.absorb()
            return None
        return Taken(pid, self._ended, self._metrics)

    def end(self) -> None:
        """It is not needed any more. One that still loads ends by itself: no job can come."""
        os.close(self._writing)
        if self.is_there and (pid := self.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_status(self._ended)
        os.close(self._ended)
        self._metrics.absorb()


def job_arguments(descriptor: int) -> list[str] | None:
    """In the process: wait for the job. None where the worker wants none done."""
    with os.fdopen(descriptor, "rb") as reading:
        said = reading.read()
    if not said:
        return None
    arguments: list[str] = json.loads(said)
    return arguments
