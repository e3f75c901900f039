"""The sweeper's thread in the verdict role: it outlives everything it looks after."""

import threading
import time
from types import TracebackType

import structlog
from redis import Redis
from redis.exceptions import RedisError

from detect_plugins.catalogue import load_catalogue
from unmask.errors import UnmaskError
from unmask.settings import Settings
from unmask.system import instruments as metrics
from workers.jobs.entrypoints import shared_url
from workers.jobs.sweep import Sweeper
from workers.store import Store
from workers.verdicts.make import Services

log = structlog.get_logger(__name__)

SWEEP_EVERY_S = 15.0
_WAITING_PART, _BUSY_PART = 1 / 3, 4.0


def sooner(every_s: float, took_s: float) -> float:
    """Seconds to the next pass while jobs wait for an outage to end, so that its end is soon noticed.

    A pass over a long queue takes long itself (`took_s`), and the worker has other things to do.

    >>> sooner(15, 0.1), sooner(15, 2.5), sooner(15, 60)
    (5.0, 10.0, 15)
    """
    return min(every_s, max(every_s * _WAITING_PART, took_s * _BUSY_PART))


class Sweeping:
    """A context manager; a pass that fails is logged, and the next one is made all the same."""

    def __init__(self, settings: Settings, every_s: float = SWEEP_EVERY_S) -> None:
        self._settings = settings
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def __enter__(self) -> "Sweeping":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        sweeper: Sweeper | None = None
        wait_s = self._every_s
        while not self._stopping.wait(wait_s):
            wait_s, began = self._every_s, time.monotonic()
            try:
                sweeper = sweeper or Sweeper(self._services())
                sweeper.sweep()
                if sweeper.someone_waits:
                    wait_s = sooner(self._every_s, time.monotonic() - began)
            except (RedisError, UnmaskError, OSError) as error:
                metrics.count(metrics.SWEEPS_FAILED)
                log.warning("sweep.failed", error=str(error))
            except Exception:
                metrics.count(metrics.SWEEPS_FAILED)
                log.exception("sweep.failed")

    def _services(self) -> Services:
        return Services(
            redis=Redis.from_url(shared_url(self._settings)),
            store=Store(self._settings.database()),
            catalogue=load_catalogue(),
            settings=self._settings,
        )
