"""Signs of life in Redis, read without trusting a wall clock.

A clock that is set back must not silence a worker, nor one set forward bury it. So a sign is a
count that rises, and whoever reads it measures with its own monotonic clock how long it stood still.
"""

import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from redis import Redis

from unmask import queues


class Beat:
    """One scoring worker's sign of life for one plugin."""

    def __init__(self, redis: "Redis", slug: str, consumer: str, *, expires_ms: int) -> None:
        self._redis = redis
        self._slug = slug
        self._consumer = consumer
        self._expires_ms = expires_ms
        self._count = 0

    def __call__(self) -> None:
        """Say that it lives. Raises RedisError."""
        self._count += 1
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(queues.alive(self._consumer), self._count, px=self._expires_ms)
            pipe.set(queues.serving(self._slug), "1", px=queues.SERVING_MS)
            pipe.sadd(queues.SERVED, self._slug)
            pipe.execute()


def served(redis: "Redis", slugs: Iterable[str] = ()) -> dict[str, bool]:
    """Slug -> whether a scoring worker for it lives: those of `slugs`, and all ever served."""
    known: Any = redis.smembers(queues.SERVED)
    every = sorted({slug.decode() for slug in known} | set(slugs))
    with redis.pipeline(transaction=False) as pipe:
        for slug in every:
            pipe.exists(queues.serving(slug))
        return {slug: bool(found) for slug, found in zip(every, pipe.execute(), strict=True)}


def roles_alive(redis: "Redis", roles: Iterable[str]) -> dict[str, bool]:
    """Role -> whether at least one process of it lives."""
    names = list(roles)
    with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.exists(queues.role(name))
        return {name: bool(found) for name, found in zip(names, pipe.execute(), strict=True)}


class Silence:
    """For how long each of several values has not changed, by this process's monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Hashable, tuple[object, float]] = {}

    def seconds(self, name: Hashable, value: object) -> float:
        """Since `name` was first seen with this `value`; 0 the first time."""
        now = self._clock()
        known = self._seen.get(name)
        if known is None or known[0] != value:
            self._seen[name] = (value, now)
            return 0.0
        return now - known[1]

    def keep(self, names: Iterable[Hashable]) -> None:
        """Forget every name but these."""
        kept = set(names)
        self._seen = {name: seen for name, seen in self._seen.items() if name in kept}
