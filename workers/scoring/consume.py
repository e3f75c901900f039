"""One plugin's consumer group on the stream of crops: read, ack, take over from the dead.

Every plugin is a group of its own, so each sees every crop. An entry is acked only after its
scores are written; what a dead worker leaves unacked is claimed by another, one entry at a time,
so that an entry which kills its worker takes no neighbour with it.
"""

import contextlib
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import ResponseError

from ingest.crop_store import PixelsElsewhere, PixelsGone
from ingest.publish import ensure_group
from unmask import queues
from workers.broker.lifesigns import Beat, Silence
from workers.scoring.ask_again import ask_again
from workers.scoring.entry import Entry, batch_of, decode

log = structlog.get_logger(__name__)

_BEAT_EVERY_S = 2.0
#: Look at so many pending entries at a time; the oldest come first.
_LOOK = 256

#: Claim an entry only from the consumer it was seen with: without an idle time, which a clock that
#: was set would make wrong, two heirs would both take it. ARGV: group, heir, entry, owner, deliveries.
_TAKE = """
local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #held == 0 or held[1][2] ~= ARGV[4] then return {} end
return redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'RETRYCOUNT', ARGV[5])
"""


class GroupConsumer:
    """Reads the crops that `slug` (key@weights) is owed, under a name no other worker has."""

    def __init__(
        self,
        redis: "Redis",
        slug: str,
        name: str,
        *,
        claim_idle_ms: int = queues.CLAIM_IDLE_MS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.redis = redis
        self.slug = slug
        self.name = name
        self._claim_idle_ms = claim_idle_ms
        self._clock = clock
        self._say_alive = Beat(redis, slug, name, expires_ms=claim_idle_ms)
        self._silence = Silence(clock)
        self._speaking: set[str] = set()
        self._beat_at: float | None = None
        self._looked_at: float | None = None
        self.past_saving: list[tuple[Entry, str]] = []
        """Entries whose pixels are damaged or on another host, with the reason: the caller gives
        them up, so that their jobs settle."""

    def join(self) -> None:
        """Make sure that the group is there. Raises RedisError."""
        ensure_group(self.redis, self.slug)

    def beat(self) -> None:
        """Say that this worker lives; called between batches, it speaks when it is time to."""
        now = self._clock()
        every_s = min(_BEAT_EVERY_S, self._claim_idle_ms / 4000)
        if self._beat_at is None or now - self._beat_at >= every_s:
            self._say_alive()
            self._beat_at = now

    def look_again(self) -> None:
        """Something was let go: look for it at the next claim."""
        self._looked_at = None

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

    def claim(self, holding: Container[str] = ()) -> Entry | None:
        """Take over one entry of a dead worker; its `deliveries` say how many died over it.

        Our own are taken again too, after an error, but not those we are still `holding`. What we
        let go ourselves, because Redis was full or away, is no death.
        """
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at < self._claim_idle_ms / 2000:
            return None
        pending: Any = self.redis.xpending_range(queues.CROPS, self.slug, "-", "+", _LOOK)
        owners = {item["consumer"].decode() for item in pending} - {self.name}
        gone = self._gone(owners)
        for item in pending:
            owner, deliveries = item["consumer"].decode(), int(item["times_delivered"])
            if owner == self.name:
                if item["message_id"].decode() in holding:
                    continue
            elif owner not in gone and not self._long_idle(owner, item):
                continue
            else:
                deliveries += 1
            entry = self._take(item["message_id"], owner, deliveries)
            if entry is not None:
                return entry  # look again at once: there may be more
        self._looked_at = now
        return None

    def _gone(self, owners: set[str]) -> set[str]:
        """Those whose count stood still for longer than a live worker would leave it."""
        self._silence.keep(owners)
        self._speaking.clear()
        gone = set()
        for owner in sorted(owners):
            count: Any = self.redis.get(queues.alive(owner))
            if count is not None:
                self._speaking.add(owner)
            if self._silence.seconds(owner, count) * 1000 >= self._claim_idle_ms:
                gone.add(owner)
        return gone

    def _long_idle(self, owner: str, item: Any) -> bool:
        """Redis itself says so, of a worker that left no sign: no need to watch it any longer."""
        return (
            owner not in self._speaking and int(item["time_since_delivered"]) >= self._claim_idle_ms
        )

    def ack(self, entry_ids: Iterable[str]) -> None:
        """Their scores are written: never deliver them again."""
        ids = list(entry_ids)
        if ids:
            self.redis.xack(queues.CROPS, self.slug, *ids)

    def bury(self, entry: Entry, why: str) -> None:
        """Write the entry's particulars to the dead letters, and only then ack it."""
        self.write_letter(entry, why)
        self.ack([entry.id])

    def write_letter(self, entry: Entry, why: str) -> None:
        """A dead letter for the entry's crops."""
        self.redis.xadd(
            queues.DEAD_LETTERS,
            {
                "entry": entry.id,
                "plugin": self.slug,
                "why": why,
                queues.FIELD_META: entry.batch.model_dump_json(),
            },
            maxlen=queues.MAX_DEAD_LETTERS,
        )
        log.error("crops.dead_letter", entry=entry.id, plugin=self.slug, job_id=entry.batch.job_id)

    def leave(self) -> None:
        """Give up the name, unless entries are still pending under it."""
        with contextlib.suppress(ResponseError):
            pending: Any = self.redis.xpending_range(
                queues.CROPS, self.slug, "-", "+", 1, consumername=self.name
            )
            if not pending:
                self.redis.xgroup_delconsumer(queues.CROPS, self.slug, self.name)

    def _take(self, entry_id: bytes, owner: str, deliveries: int) -> Entry | None:
        """Claim one entry; None where another worker was quicker or its crops are deleted."""
        reply: Any = self.redis.eval(
            _TAKE, 1, queues.CROPS, self.slug, self.name, entry_id, owner, deliveries
        )
        entries = [each for each in reply if each and each[1]]
        found = [(name, dict(zip(f[::2], f[1::2], strict=True))) for name, f in entries]
        if not found:
            # Redis 6.2 keeps deleted entries pending and answers nil; 7 drops them by itself.
            if not self.redis.xrange(queues.CROPS, entry_id, entry_id):
                self.redis.xack(queues.CROPS, self.slug, entry_id)
            return None
        ours = next(iter(self._ours(found)), None)
        return None if ours is None else replace(ours, deliveries=deliveries)

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
                self.past_saving.append((Entry.of(entry_id, batch_of(fields)), str(error)))
                continue
            except ValueError as error:
                log.error("crops.unreadable", entry=entry_id, plugin=self.slug, error=str(error))
                try:
                    batch = batch_of(fields)
                except ValueError:  # it says not even whose it is: nothing of ours
                    self.redis.xack(queues.CROPS, self.slug, entry_id)
                    continue
                why = f"a group of crops is damaged in Redis: {error}"
                self.past_saving.append((Entry.of(entry_id, batch), why))
                continue
            if any(ref.slug == self.slug for ref in entry.batch.plugins):
                ours.append(entry)
            else:
                self.redis.xack(queues.CROPS, self.slug, entry_id)
        return ours
