"""One plugin's consumer group on the stream of crops: read, ack, take over from the dead.

Every plugin is a group of its own, so each sees every crop. An entry is acked only after its
scores are written; what a dead worker leaves unacked is claimed by another, one entry at a time,
so that an entry which kills its worker takes no neighbour with it.
"""

import contextlib
import time
from collections.abc import Callable, Container, Iterable
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import ResponseError

from ingest.crop_store import PixelsElsewhere, PixelsGone
from ingest.publish import ensure_group
from unmask import queues
from workers.broker import heartbeats
from workers.scoring.ask_again import ask_again
from workers.scoring.entry import Entry, batch_of, decode

log = structlog.get_logger(__name__)

_BEAT_EVERY_S = 2.0
#: Look at so many pending entries at a time; the oldest come first.
_LOOK = 64


class GroupConsumer:
    """Reads the crops that `slug` (key@weights) is owed, under a name no other worker has."""

    def __init__(
        self,
        redis: "Redis",
        slug: str,
        name: str,
        *,
        claim_idle_ms: int = queues.CLAIM_IDLE_MS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.redis = redis
        self.slug = slug
        self.name = name
        self._claim_idle_ms = claim_idle_ms
        self._clock = clock
        self._beat_at = 0.0
        self._looked_at = 0.0
        self.elsewhere: list[tuple[Entry, str]] = []
        """Entries whose pixels are on another host, with the reason: the caller gives them up."""
        ensure_group(redis, slug)

    def beat(self) -> None:
        """Say that this worker lives; called between batches, it speaks when it is time to."""
        now = self._clock()
        if now - self._beat_at >= min(_BEAT_EVERY_S, self._claim_idle_ms / 4000):
            self._beat_at = now
            heartbeats.beat(self.redis, self.slug, now)
            # Redis's own idle time of a consumer stands still while it finds nothing to read.
            self.redis.set(queues.alive(self.name), "1", px=self._claim_idle_ms)

    def read(self, count: int, block_ms: int) -> list[Entry]:
        """Up to `count` new entries for this plugin, waiting for at most `block_ms`."""
        reply: Any = self.redis.xreadgroup(
            self.slug,
            self.name,
            {queues.CROPS: ">"},
            count=count,
            block=block_ms if block_ms > 0 else None,
        )
        if not reply:
            return []
        found = reply[0][1] if isinstance(reply, list) else next(iter(reply.values()))
        if found and isinstance(found[0], list):  # RESP3 nests once more
            found = found[0]
        return self._ours(found)

    def claim(self, holding: Container[str] = ()) -> tuple[Entry | None, list[Entry]]:
        """Take over one entry of a dead worker: (the entry or None, entries that are past saving).

        Our own are taken again too, after an error, but not those we are still `holding`. An entry
        delivered three times without an ack is past saving: the caller records its crops
        as failures and then calls `bury`.
        """
        dead: list[Entry] = []
        now = self._clock()
        if now - self._looked_at < self._claim_idle_ms / 2000:
            return None, dead
        pending: Any = self.redis.xpending_range(
            queues.CROPS, self.slug, "-", "+", _LOOK, idle=self._claim_idle_ms
        )
        for item in pending:
            if item["message_id"].decode() in holding or self._alive(item["consumer"].decode()):
                continue
            entry = self._take(item["message_id"])
            if entry is None:
                continue
            if int(item["times_delivered"]) >= queues.MAX_DELIVERIES:
                dead.append(entry)
                continue
            return entry, dead  # look again at once: there may be more
        self._looked_at = now
        return None, dead

    def ack(self, entry_ids: Iterable[str]) -> None:
        """Their scores are written: never deliver them again."""
        ids = list(entry_ids)
        if ids:
            self.redis.xack(queues.CROPS, self.slug, *ids)

    def bury(self, entry: Entry, why: str) -> None:
        """Write the entry's particulars to the dead letters, and only then ack it."""
        self.redis.xadd(
            queues.DEAD_LETTERS,
            {
                "entry": entry.id,
                "plugin": self.slug,
                "why": why,
                queues.FIELD_META: entry.batch.model_dump_json(),
            },
        )
        self.ack([entry.id])
        log.error("crops.dead_letter", entry=entry.id, plugin=self.slug, job_id=entry.batch.job_id)

    def leave(self) -> None:
        """Give up the name, unless entries are still pending under it."""
        with contextlib.suppress(ResponseError):
            pending: Any = self.redis.xpending_range(
                queues.CROPS, self.slug, "-", "+", 1, consumername=self.name
            )
            if not pending:
                self.redis.xgroup_delconsumer(queues.CROPS, self.slug, self.name)

    def _alive(self, consumer: str) -> bool:
        """Whether another worker of that name lives: slow is not dead."""
        return consumer != self.name and bool(self.redis.exists(queues.alive(consumer)))

    def _take(self, entry_id: bytes) -> Entry | None:
        """Claim one entry; None where another worker was quicker or its crops are deleted."""
        reply: Any = self.redis.xclaim(
            queues.CROPS, self.slug, self.name, self._claim_idle_ms, [entry_id]
        )
        found = [(name, fields) for name, fields in reply if name is not None and fields]
        if not found:
            # Redis 6.2 keeps deleted entries pending and answers nil; 7 drops them by itself.
            if not self.redis.xrange(queues.CROPS, entry_id, entry_id):
                self.redis.xack(queues.CROPS, self.slug, entry_id)
            return None
        return next(iter(self._ours(found)), None)

    def _ours(self, found: Iterable[tuple[bytes, dict[bytes, bytes] | None]]) -> list[Entry]:
        """Those entries whose job expects this plugin; every other is acked unread."""
        ours: list[Entry] = []
        for entry_id, fields in found:
            if not fields:
                self.redis.xack(queues.CROPS, self.slug, entry_id)
                continue
            try:
                entry = decode(entry_id, fields)
            except PixelsGone as error:
                log.warning("crops.gone", entry=entry_id, plugin=self.slug, error=str(error))
                ask_again(self.redis, entry_id, batch_of(fields))
                self.redis.xack(queues.CROPS, self.slug, entry_id)
                continue
            except PixelsElsewhere as error:
                self.elsewhere.append((Entry.of(entry_id, batch_of(fields)), str(error)))
                continue
            except ValueError as error:
                log.error("crops.unreadable", entry=entry_id, plugin=self.slug, error=str(error))
                self.redis.xack(queues.CROPS, self.slug, entry_id)
                continue
            if any(ref.slug == self.slug for ref in entry.batch.plugins):
                ours.append(entry)
            else:
                self.redis.xack(queues.CROPS, self.slug, entry_id)
        return ours
