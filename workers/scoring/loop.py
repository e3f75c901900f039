"""The scoring process: a thread per plugin, each with its own consumer group and engine.

Long-lived and never forked from: CUDA does not survive a fork, and an engine is slow to build.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from redis import Redis
from redis.exceptions import RedisError

from unmask import queues
from unmask.errors import EngineError, PluginError, ReasonCode, UnmaskError
from unmask.messages import PluginRef, Reason
from unmask.system import instruments as metrics
from workers.scoring.batching import Batcher
from workers.scoring.consume import GroupConsumer
from workers.scoring.entry import Entry
from workers.scoring.note_batch import note_batch
from workers.scoring.one_by_one import only, unanswered
from workers.scoring.scorer import Item, Refusing, Scorer
from workers.scoring.write_scores import record, record_failures

log = structlog.get_logger(__name__)

_IDLE_BLOCK_MS = 200
#: After an error of Redis's, wait so long, twice as long at each one that follows, up to this.
_RETRY_S, _LONGEST_RETRY_S = 1.0, 20.0


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a loop batches and when it takes over from the dead."""

    batch_size: int = 8
    delay_ms: float = 25
    group_crops: int = 16
    """Crops in one stream entry, to read no more entries than a batch needs."""
    claim_idle_ms: int = queues.CLAIM_IDLE_MS


class PluginLoop(threading.Thread):
    """Scores every crop that one plugin is owed, until told to stop.

    `load` runs in this thread, because an engine belongs to the thread that built it. Where it
    raises a PluginError, the loop refuses every crop with that reason, so that jobs still settle.
    Where the engine is at fault, the loop ends, and its crops are left to other workers; with
    `go_on`, where there are none, it refuses them too. With `wanted`, loading begins when that is
    set. `on_settled(job_id, generation)` is called once per job, by whoever wrote its last answer.
    """

    def __init__(
        self,
        redis: "Redis",
        ref: PluginRef,
        name: str,
        *,
        load: Callable[[], Scorer],
        settle: Callable[["Redis", str, int], bool],
        on_settled: Callable[[str, int], None],
        stopping: threading.Event,
        turn: threading.Lock,
        pace: Pace,
        go_on: bool = False,
        wanted: threading.Event | None = None,
    ) -> None:
        super().__init__(name=f"score-{ref.key}", daemon=True)
        self.ref = ref
        self.ready = threading.Event()
        """Set once the engine is built, or has been given up."""
        self.fault: BaseException | None = None
        """What ended the loop, where it did not end by being told to."""
        self.scorer: Scorer | Refusing | None = None
        self._redis = redis
        self._load = load
        self._settle = settle
        self._on_settled = on_settled
        self._stopping = stopping
        self._turn = turn
        self._pace = pace
        self._go_on = go_on
        self._wanted = wanted
        self._consumer = GroupConsumer(redis, ref.slug, name, claim_idle_ms=pace.claim_idle_ms)
        self._batcher: Batcher[Item] = Batcher(pace.batch_size, pace.delay_ms)
        self._joined = False
        self._errors = 0
        """Of Redis's, one after the other."""
        self._owed: dict[str, int] = {}
        """Crops of each entry in hand that are not written yet."""

    def run(self) -> None:
        """Load, then score until stopped; what is in hand is finished first."""
        try:
            if not self._is_wanted():
                return
            self.scorer = self._loaded()
            self.ready.set()
            while not self._stopping.is_set():
                try:
                    self._step(self.scorer)
                    self._errors = 0
                except RedisError as error:
                    self._wait_for_redis(error)
                except EngineError as error:
                    if not self._go_on:
                        raise
                    self.scorer = _refusing(self.ref, error)
                    self._let_go()
            self._end(self.scorer)
        except BaseException as error:
            self.fault = error
            log.exception("scoring.ended", plugin=self.ref.key)
        finally:
            self.ready.set()

    def _is_wanted(self) -> bool:
        """Wait for the first crop to be on its way; False where there will be none."""
        while self._wanted is not None and not self._wanted.wait(_IDLE_BLOCK_MS / 1000):
            if self._stopping.is_set():
                return False
        return True

    def _loaded(self) -> Scorer | Refusing:
        try:
            # One after the other: torch.export keeps state that threads would share.
            with self._turn:
                return self._load()
        except Exception as error:
            # A bundle is at fault everywhere; an engine perhaps on this machine alone, and then
            # another worker may do better than to fail every crop.
            if not self._go_on and not isinstance(error, PluginError):
                raise
            return _refusing(self.ref, error)

    def _end(self, scorer: Scorer | Refusing) -> None:
        """Finish what is in hand; where Redis is away, other workers will."""
        try:
            while batch := self._batcher.drain():
                self._finish(scorer, batch)
            self._consumer.leave()
        except RedisError as error:
            log.warning("scoring.left_unfinished", plugin=self.ref.key, error=str(error))

    def _wait_for_redis(self, error: RedisError) -> None:
        """Whatever Redis says (gone, full, loading, emptied): let go, wait, look again.

        A process that ended over it would build its engine anew at every try.
        """
        self._joined = False  # somebody may have emptied it under us
        self._let_go()
        wait_s = min(_RETRY_S * 2**self._errors, _LONGEST_RETRY_S)
        if "NOGROUP" in str(error):
            wait_s = 0.0
        else:
            self._errors += 1
            metrics.count(metrics.REDIS_ERRORS, where="scoring")
            log.warning("redis.lost", plugin=self.ref.key, error=str(error), wait_s=wait_s)
        self._stopping.wait(wait_s)

    def _let_go(self) -> None:
        """Drop what is in hand: it is unacked, and is claimed again when it has been silent."""
        while self._batcher.drain():
            pass
        self._owed.clear()
        self._consumer.look_again()

    def _step(self, scorer: Scorer | Refusing) -> None:
        """Take over what the dead left, read what is new, score what is due."""
        if not self._joined:
            self._consumer.join()
            self._joined = True
        self._consumer.beat()
        entry = self._consumer.claim(self._owed)
        if entry is not None:
            self._take_over(scorer, entry)
            return
        now = _now_ms()
        if self._batcher.room:
            wait = self._batcher.due_in_ms(now)
            block = _IDLE_BLOCK_MS if wait is None else min(int(wait) + 1, _IDLE_BLOCK_MS)
            count = -(-self._batcher.room // self._pace.group_crops)
            for found in self._consumer.read(count, block):
                self._owed[found.id] = len(found.crops)
                self._batcher.add(_items(found), _now_ms())
        while self._consumer.past_saving:
            unseen, why = self._consumer.past_saving.pop()
            self._bury(unseen, why)
        if batch := self._batcher.take(_now_ms()):
            self._finish(scorer, batch)

    def _take_over(self, scorer: Scorer | Refusing, entry: Entry) -> None:
        """Alone: should it kill this process too, no neighbour is delivered in vain.

        Where two workers died over it, crop by crop; where three did, without the crop at which the
        last one stopped; where one more died over the others, not at all.
        """
        log.info("crops.claimed", plugin=self.ref.key, entry=entry.id, times=entry.deliveries)
        died = f"its worker died {entry.deliveries - 1} times over "
        if entry.deliveries < queues.MAX_DELIVERIES:
            self._owed[entry.id] = len(entry.crops)
            self._finish(scorer, _items(entry))
            return
        rest = unanswered(self._redis, self.ref.slug, entry)
        if entry.deliveries > queues.MAX_DELIVERIES + 1 and rest.crops:
            self._bury(rest, died + "these crops.")
            return
        if entry.deliveries == queues.MAX_DELIVERIES + 1 and rest.crops:
            killer, rest = only(rest, [0]), only(rest, range(1, len(rest.crops)))
            why = died + "its group, and last over this crop."
            self._consumer.write_letter(killer, why)
            self._record_dead(killer, why)
        if not rest.crops:
            self._consumer.ack([entry.id])
            self._settled([_job(entry)])
            return
        self._owed[entry.id] = len(rest.crops)
        for item in _items(rest):
            self._consumer.beat()
            self._finish(scorer, [item])

    def _finish(self, scorer: Scorer | Refusing, batch: list[Item]) -> None:
        """Score, write and ack at once, settle: a crash anywhere repeats, and never loses."""
        with self._turn:
            begun = time.monotonic()
            outcomes = scorer.score(batch)
            seconds = time.monotonic() - begun
        note_batch(self.ref.key, outcomes, seconds)
        done = []
        for item in batch:
            self._owed[item.entry_id] -= 1
            if not self._owed[item.entry_id]:
                del self._owed[item.entry_id]
                done.append(item.entry_id)
        self._settled(record(self._redis, self.ref, outcomes, scorer.engine_name, acked=done))

    def _bury(self, entry: Entry, why: str) -> None:
        self._record_dead(entry, why)
        self._consumer.bury(entry, why)
        self._settled([_job(entry)])

    def _record_dead(self, entry: Entry, why: str) -> None:
        reason = Reason(code=ReasonCode.DEAD_LETTER, message=why)
        keys = [crop.key for crop in entry.batch.crops]
        record_failures(self._redis, _job(entry), self.ref.slug, keys, reason)
        metrics.count(metrics.DEAD_LETTERS, plugin=self.ref.key)

    def _settled(self, jobs: list[tuple[str, int]]) -> None:
        for job_id, generation in jobs:
            if self._settle(self._redis, job_id, generation):
                self._on_settled(job_id, generation)


def _refusing(ref: PluginRef, error: Exception) -> Refusing:
    code = error.code if isinstance(error, UnmaskError) else ReasonCode.PLUGIN_FAILED
    # Our own errors say what is wrong in a sentence; of any other, the place matters.
    trace = None if isinstance(error, UnmaskError) else error
    log.error("plugin.refused", plugin=ref.key, code=code, error=str(error), exc_info=trace)
    return Refusing(ref, Reason(code=code, message=str(error)))


def _job(entry: Entry) -> tuple[str, int]:
    return entry.batch.job_id, entry.batch.generation


def _items(entry: Entry) -> list[Item]:
    return [
        Item(
            job_id=entry.batch.job_id,
            generation=entry.batch.generation,
            entry_id=entry.id,
            meta=meta,
            crop=crop,
            traceparent=entry.batch.traceparent,
        )
        for meta, crop in zip(entry.batch.crops, entry.crops, strict=True)
    ]


def _now_ms() -> float:
    return time.monotonic() * 1000
