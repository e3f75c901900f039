"""Hand crops to the scoring workers, and never faster than they score.

A publisher serves one video at a time. Publishing is idempotent per job and generation: a re-run
after a crash finds which crops are in the stream already and adds the others.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import structlog
from redis import Redis
from redis.exceptions import ResponseError

from ingest.crop_store import store_for
from ingest.owed import answer, most_owed
from unmask import queues
from unmask.errors import InputError, ReasonCode
from unmask.messages import CropBatch, CropMeta, IngestClosed, Submission
from unmask.plugin import Images
from unmask.settings import Settings

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.05
_SAY_WAITING_EVERY_S = 30.0


class Publisher(Protocol):
    """Where ingest puts what it finds. `begin` first, `close` last."""

    def begin(self, submission: Submission) -> None:
        """Make ready for this job; an earlier, unfinished run of it is taken up."""

    def publish(self, batch: CropBatch, pixels: Sequence[Images]) -> None:
        """Hand over the crops of `batch`, waiting while scoring lags. `pixels`: one array per crop."""

    def frame(self, job_id: str, generation: int, meta: CropMeta, jpeg: bytes) -> None:
        """Hand over one whole frame in which the face `meta` is seen; one per track, the last stays."""

    def progress(self, job_id: str, generation: int, **fields: int | str) -> None:
        """Tell people how far it is."""

    def close(self, closed: IngestClosed) -> None:
        """Ingest's last word; crops of an earlier run that this one did not find are withdrawn."""


#: Add one entry unless all its crops are in the stream already; note its id with every crop, and
#: what each plugin owes for it: a crop that was answered in an earlier run is not owed again.
#: KEYS: stream, entries, published, references, owed by all, owed by the job, the mark of a cancelled
#: job; then, where an earlier run may have left answers, scores and failures per plugin. ARGV: meta
#: field, meta, pixels field, pixels, the field of references, lifetime, high water, number of slugs,
#: slugs, crop keys.
#: -1: the job is cancelled; -2: the slowest plugin owes too much; else how many crops were new.
_ADD = """
if redis.call('EXISTS', KEYS[7]) == 1 then return -1 end
local slugs = tonumber(ARGV[8])
local count = #ARGV - 8 - slugs
local lag = 0
for n = 1, slugs do
  lag = math.max(lag, tonumber(redis.call('HGET', KEYS[5], ARGV[8 + n]) or 0))
end
if lag > 0 and lag + count > tonumber(ARGV[7]) then return -2 end
local missing = {}
for n, held in ipairs(redis.call('HMGET', KEYS[3], unpack(ARGV, 9 + slugs))) do
  if not held then missing[#missing + 1] = ARGV[8 + slugs + n] end
end
if #missing > 0 then
  local id = redis.call('XADD', KEYS[1], '*', ARGV[1], ARGV[2], ARGV[3], ARGV[4])
  redis.call('SADD', KEYS[2], id)
  local noted = {}
  for n = 1, count do noted[2 * n - 1], noted[2 * n] = ARGV[8 + slugs + n], id end
  redis.call('HSET', KEYS[3], unpack(noted))
  if ARGV[3] == ARGV[5] then redis.call('SADD', KEYS[4], ARGV[4]) end
  for n = 1, slugs do
    local owed = #missing
    if #KEYS > 7 then
      local scored = redis.call('HMGET', KEYS[6 + 2 * n], unpack(missing))
      local failed = redis.call('HMGET', KEYS[7 + 2 * n], unpack(missing))
      for at = 1, #missing do
        if scored[at] or failed[at] then owed = owed - 1 end
      end
    end
    redis.call('HINCRBY', KEYS[5], ARGV[8 + n], owed)
    redis.call('HINCRBY', KEYS[6], ARGV[8 + n], owed)
  end
end
for _, k in ipairs({2, 3, 4, 6}) do redis.call('EXPIRE', KEYS[k], ARGV[6]) end
return #missing
"""
_CANCELLED, _FULL = -1, -2


class RedisPublisher:
    """Entries of grouped crops on the stream that every plugin's group reads; pixels are raw uint8."""

    def __init__(
        self, redis: "Redis", settings: Settings, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._redis = redis
        self._add = redis.register_script(_ADD)
        self._store = store_for(redis, settings)
        self._high_water = settings.high_water_crops
        self._sleep = sleep
        self._say_again_at = 0.0
        self._slugs: list[str] = []
        self._answers: list[str] = []
        self._keys: set[str] = set()

    def begin(self, submission: Submission) -> None:
        """Create the groups before the first crop, so that none is missed."""
        self._slugs = [ref.slug for ref in submission.plugins]
        self._keys = set()
        for slug in self._slugs:
            ensure_group(self._redis, slug)
        self._store.sweep(
            lambda job, name: bool(self._redis.sismember(queues.references(*job), name.decode()))
        )
        job = (submission.job_id, submission.generation)
        self._answers = [
            name
            for slug in self._slugs
            for name in (queues.scores(*job, slug), queues.failures(*job, slug))
        ]
        if not self._redis.exists(queues.published(*job), *self._answers):
            self._answers = []  # the first run: nothing is answered before it is in the stream
        member = f"{submission.job_id}:{submission.generation}"
        self._redis.hset(queues.ACTIVE, member, json.dumps(self._slugs))
        self.progress(submission.job_id, submission.generation, phase="ingest", sampled=0, crops=0)

    def let_go(self, keys: Iterable[str]) -> None:
        """These crops are done with, and will not be asked about again."""
        self._keys.difference_update(keys)

    def publish(self, batch: CropBatch, pixels: Sequence[Images]) -> None:
        """Add one entry. Waits while the slowest of the job's plugins owes too much.

        Raises InputError (cancelled) where nobody wants it any more.
        """
        keys = [meta.key for meta in batch.crops]
        self._keys.update(keys)
        job = (batch.job_id, batch.generation)
        names = (
            queues.CROPS,
            queues.entries(*job),
            queues.published(*job),
            queues.references(*job),
            queues.OWED,
            queues.owed(*job),
            queues.cancelled(*job),
            *self._answers,
        )
        limits: list[Any] = [queues.JOB_TTL_S, self._high_water]
        asked: list[Any] = [len(self._slugs), *self._slugs, *keys]
        entry = batch.model_dump_json()
        added = _FULL
        while added == _FULL:
            field, value = self._store.put(job, pixels)
            given: list[Any] = [queues.FIELD_META, entry, field, value, queues.FIELD_REFERENCE]
            # Where Redis breaks off the pixels stay: it may have added the entry.
            added = int(self._add(names, given + limits + asked))
            if added <= 0:
                self._store.drop(field, value)
            if added == _FULL:  # without its pixels: the sweep would take them for a dead process's
                self._wait_for_room(len(keys))
        if added == _CANCELLED:
            raise InputError("the job was cancelled.", code=ReasonCode.CANCELLED)

    def frame(self, job_id: str, generation: int, meta: CropMeta, jpeg: bytes) -> None:
        """Two fields of a hash, which goes with the job."""
        name = queues.frames(job_id, generation)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(name, f"{meta.track_id}:meta", meta.model_dump_json())
            pipe.hset(name, f"{meta.track_id}:jpeg", jpeg)
            pipe.expire(name, queues.JOB_TTL_S)
            pipe.execute()

    def lag(self) -> int:
        """Crops that the slowest of this job's plugins has to go, over all jobs in work."""
        return most_owed(self._redis, self._slugs)

    def progress(self, job_id: str, generation: int, **fields: int | str) -> None:
        """Write how far the job is, for people who ask."""
        name = queues.progress(job_id, generation)
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hset(name, mapping=dict(fields.items()))
            pipe.expire(name, queues.JOB_TTL_S)
            pipe.execute()

    def close(self, closed: IngestClosed) -> None:
        """Withdraw what an earlier run left over, then write the closing message."""
        job = (closed.job_id, closed.generation)
        self._withdraw(closed)
        self._redis.set(queues.closed(*job), closed.model_dump_json(), ex=queues.JOB_TTL_S)
        self.progress(
            *job,
            phase="failed" if closed.error else "scoring",
            sampled=closed.coverage.sampled,
            crops=closed.crops,
            crops_expected=closed.crops,
        )

    def _withdraw(self, closed: IngestClosed) -> None:
        """Same media, same settings: nothing to do. Another face detector may have found others."""
        job = (closed.job_id, closed.generation)
        held: Any = self._redis.hgetall(queues.published(*job))
        stale = [key for key in held if key.decode() not in self._keys]
        if closed.error is not None or not stale:
            return
        current = {entry for key, entry in held.items() if key not in stale}
        with self._redis.pipeline(transaction=True) as pipe:
            for ref in closed.plugins:
                answer(pipe, job, ref.slug, stale)
                for part in (queues.scores, queues.failures, queues.maps):
                    pipe.hdel(part(*job, ref.slug), *stale)
            pipe.hdel(queues.published(*job), *stale)
            gone = {held[key] for key in stale} - current
            if gone:
                pipe.xdel(queues.CROPS, *gone)
                pipe.srem(queues.entries(*job), *gone)
            pipe.execute()

    def _wait_for_room(self, crops: int) -> None:
        while (lag := self.lag()) + crops > self._high_water and lag > 0:
            if time.monotonic() >= self._say_again_at:
                log.info("ingest.waits", lag=lag, plugins=self._slugs)
                self._say_again_at = time.monotonic() + _SAY_WAITING_EVERY_S
            self._sleep(_LOOK_EVERY_S)


def ensure_group(redis: "Redis", slug: str) -> None:
    """Create the plugin's consumer group, from the stream's beginning, unless it is there."""
    try:
        redis.xgroup_create(queues.CROPS, slug, id="0", mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
