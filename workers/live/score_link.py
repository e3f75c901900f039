"""Crops out to the scoring workers, scores back: one stream's side of the broker."""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from redis import Redis

from detect_plugins.catalogue import Catalogue
from ingest import crop_store
from ingest.owed import answer
from ingest.publish import RedisPublisher
from unmask import queues
from unmask.messages import CropBatch, CropMeta, FaceScore, Reason, Submission
from unmask.plugin import FaceCrop
from unmask.settings import Settings
from workers.verdicts.gather import particulars
from workers.verdicts.make import delete_job_keys
from workers.verdicts.plugin_verdict import PluginScores

#: A scorer that had a crop in hand when it was let go writes its score and map within so many seconds.
_IN_HAND_S = 300.0


class ScoreLink:
    """Publishes a stream's crops under its id, as a job's are, and reads the answers."""

    def __init__(
        self, redis: "Redis", settings: Settings, catalogue: Catalogue, submission: Submission
    ) -> None:
        self._redis = self.redis = redis
        self._submission = submission
        self._publisher = RedisPublisher(redis, settings)
        self._publisher.begin(submission)
        self._plugins = {
            ref.slug: replace(particulars(ref, catalogue, settings), asked=True)
            for ref in submission.plugins
        }
        self._gone: deque[tuple[float, list[str]]] = deque()
        """When crops were let go, and which: of those that scorers had in hand."""

    def publish(self, crops: Sequence[tuple[CropMeta, FaceCrop]]) -> None:
        """One frame's crops. Waits while scoring lags: the frames behind are then dropped."""
        if crops:
            batch = CropBatch(
                job_id=self._submission.job_id,
                generation=self._submission.generation,
                plugins=self._submission.plugins,
                crops=tuple(meta for meta, _ in crops),
            )
            self._publisher.publish(batch, [crop.pixels for _, crop in crops])

    def answered(self, keys: Sequence[str]) -> bool:
        """Whether every plugin has scored, or given up on, every one of these crops."""
        if not keys:
            return True
        return all(
            all(s is not None or f is not None for s, f in zip(*found, strict=True))
            for found in self._answers(keys).values()
        )

    def scores(self, keys: Sequence[str]) -> tuple[PluginScores, ...]:
        """What each plugin said of these crops so far."""
        results = []
        for slug, (scores, failures) in (self._answers(keys) if keys else {}).items():
            names = self._names(slug)
            members: Any = self._redis.smembers(queues.engines(*names))
            results.append(
                replace(
                    self._plugins[slug],
                    scores=tuple(FaceScore.model_validate_json(s) for s in scores if s is not None),
                    failures={
                        key: Reason.model_validate_json(f)
                        for key, f, s in zip(keys, failures, scores, strict=True)
                        if f is not None and s is None
                    },
                    engines=tuple(sorted(engine.decode() for engine in members)),
                )
            )
        return tuple(results) or tuple(self._plugins.values())

    def heatmap(self, score: FaceScore) -> bytes | None:
        """The stored map of one score; None where it was let go."""
        key = queues.maps(*self._names(score.plugin.slug))
        found: Any = self._redis.hget(key, score.crop.key)
        return None if found is None else bytes(found)

    def let_go(self, keys: Iterable[str]) -> None:
        """Delete these crops and all that was made of them: pictures of faces are not kept."""
        gone = list(keys)
        if not gone:
            return
        now = time.monotonic()
        while self._gone and self._gone[0][0] < now - _IN_HAND_S:
            self._gone.popleft()
        answered_late = [key for _, earlier in self._gone for key in earlier]
        self._gone.append((now, gone))
        self._publisher.let_go(gone)
        job = (self._submission.job_id, self._submission.generation)
        held: Any = self._redis.hmget(queues.published(*job), gone)
        entries = {entry for entry in held if entry is not None}
        references = self._references(entries)
        crop_store.remove(references)
        with self._redis.pipeline(transaction=True) as pipe:
            for slug in self._plugins:
                answer(pipe, job, slug, gone)  # what nobody will score any more is owed no more
                for part in (queues.scores, queues.failures, queues.maps):
                    pipe.hdel(part(*self._names(slug)), *gone, *answered_late)
            pipe.hdel(queues.published(*job), *gone)
            if entries:
                pipe.xdel(queues.CROPS, *entries)
                pipe.srem(queues.entries(*job), *entries)
            if references:
                pipe.srem(queues.references(*job), *references)
            pipe.execute()

    def close(self) -> None:
        """Delete all that is left."""
        delete_job_keys(
            self._redis,
            self._submission.job_id,
            self._submission.generation,
            self._submission.plugins,
        )

    def _references(self, entries: Iterable[bytes]) -> list[bytes]:
        """Where the pixels of these entries lie, for those that are not in the stream itself."""
        with self._redis.pipeline(transaction=False) as pipe:
            for entry in entries:
                pipe.xrange(queues.CROPS, entry, entry)
            found = pipe.execute()
        name = queues.FIELD_REFERENCE.encode()
        return [fields[name] for rows in found for _, fields in rows if name in fields]

    def _answers(self, keys: Sequence[str]) -> dict[str, tuple[list[Any], list[Any]]]:
        with self._redis.pipeline(transaction=False) as pipe:
            for slug in self._plugins:
                pipe.hmget(queues.scores(*self._names(slug)), list(keys))
                pipe.hmget(queues.failures(*self._names(slug)), list(keys))
            found = pipe.execute()
        pairs = zip(found[::2], found[1::2], strict=True)
        return dict(zip(self._plugins, pairs, strict=True))

    def _names(self, slug: str) -> tuple[str, int, str]:
        return self._submission.job_id, self._submission.generation, slug
