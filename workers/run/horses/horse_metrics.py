"""What a job's process noted reaches its worker through a pipe, without a file to be left behind."""

import os
from contextlib import suppress

from unmask.system import instruments as metrics

_VARIABLE = "UNMASK_HORSE_METRICS_FD"
#: A pipe holds 64 KiB; what a job notes is a hundredth of that.
_MOST = 60_000


class FromHorse:
    """The worker's end. `environment` goes to the child, which inherits the descriptor."""

    def __init__(self) -> None:
        self._reading, self.descriptor = os.pipe()
        os.set_inheritable(self.descriptor, True)
        os.set_blocking(self._reading, False)
        self.environment = {_VARIABLE: str(self.descriptor)}

    def spawned(self) -> None:
        """The child has its copy: close ours, so that its end is the end."""
        os.close(self.descriptor)

    def absorb(self) -> None:
        """Once the child has ended: note what it noted; nothing where it was killed."""
        with suppress(OSError):
            metrics.absorb(os.read(self._reading, _MOST))
        os.close(self._reading)


def relay_to(descriptor: int) -> None:
    """In a forked child, which was handed the descriptor and inherited nothing."""
    os.environ[_VARIABLE] = str(descriptor)


def begin_relay() -> None:
    """In the child, before anything is noted."""
    if _VARIABLE in os.environ:
        metrics.relay()


def end_relay() -> None:
    """In the child, at its end, however it ends."""
    given = os.environ.get(_VARIABLE)
    if given is None:
        return
    data = metrics.relayed()
    with suppress(OSError):
        if len(data) <= _MOST:
            os.write(int(given), data)
