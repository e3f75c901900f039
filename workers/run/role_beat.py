"""A thread that says, while a role's process lives, that somebody fills the role; and keeps it small."""

import threading
from types import TracebackType

import structlog
from redis import Redis
from redis.exceptions import RedisError

from unmask import queues
from unmask.system.memory import GivesBack

log = structlog.get_logger(__name__)

_EVERY_S = 5.0


class RoleBeat:
    """A context manager. Redis may be away: then nobody hears, and the next beat is tried."""

    def __init__(self, url: str, role: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=_EVERY_S)
        self._key = queues.role(role)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="role-beat", daemon=True)

    def __enter__(self) -> "RoleBeat":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(timeout=_EVERY_S)
        self._redis.close()

    def _run(self) -> None:
        give_back = GivesBack()
        while True:
            give_back()
            try:
                self._redis.set(self._key, "1", px=queues.SERVING_MS)
            except RedisError as error:
                log.debug("role.unheard", error=str(error))
            if self._stopping.wait(_EVERY_S):
                return
