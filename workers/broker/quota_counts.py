"""What tenants and keys have used of their daily quotas: counts in Redis, one for all processes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from limits.storage import RedisStorage
from redis import Redis

from unmask.messages import IngestClosed
from unmask.queues import PREFIX

DAY_S = 24 * 3600


@dataclass
class QuotaCounts:
    """A day begins with what is counted first. Raises RedisError where Redis is away."""

    redis: Redis
    _counts: RedisStorage = field(init=False)

    def __post_init__(self) -> None:
        pool = self.redis.connection_pool
        self._counts = RedisStorage("redis://", connection_pool=pool, key_prefix="unmask:quotas")

    def used(self, name: str) -> int:
        """How much of it today."""
        return self._counts.get(name)

    def add(self, name: str, amount: int) -> int:
        """Use so much, or give it back; how much that makes."""
        return self._counts.incr(name, DAY_S, amount=amount)

    def ends_at(self, name: str) -> float:
        """When it begins anew, in seconds since the epoch."""
        return self._counts.get_expiry(name)

    def count_fetched(self, closed: IngestClosed, whose: Iterable[str]) -> None:
        """The bytes of media that was fetched, known only now. Once per generation of a job."""
        if closed.media is None:
            return
        once = f"{PREFIX}:fetched:{closed.job_id}:{closed.generation}"
        if self.redis.set(once, 1, nx=True, ex=DAY_S):
            for who in whose:
                self.add(f"bytes:{who}", closed.media.size_bytes)
