"""Which plugins a scoring worker serves: written by workers, read by the API and the sweeper."""

import time
from typing import Any

from redis import Redis

from unmask import queues

#: A plugin whose workers were silent for so long is taken to have none.
SILENT_S = 30.0


def beat(redis: "Redis", slug: str, now_s: float) -> None:
    """A worker of `slug` lives, at `now_s` of the wall clock."""
    redis.hset(queues.HEARTBEATS, slug, str(int(now_s * 1000)))


def last_beats(redis: "Redis") -> dict[str, float]:
    """Plugin slug -> wall clock (s) of the last sign of life of any worker that serves it."""
    found: Any = redis.hgetall(queues.HEARTBEATS)
    return {_text(slug): int(beat) / 1000 for slug, beat in found.items()}


def alive_plugins(redis: "Redis", within_s: float = SILENT_S) -> list[str]:
    """Slugs of the plugins that are served now, sorted."""
    now = time.time()
    return sorted(slug for slug, beat in last_beats(redis).items() if now - beat <= within_s)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
