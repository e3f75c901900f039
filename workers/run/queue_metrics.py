"""Gauges of the queue and the database, read when somebody scrapes; shown by the verdict role."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer

from unmask import queues
from unmask.errors import StoreError
from unmask.messages import JobState
from unmask.settings import Settings
from unmask.system import instruments as metrics
from workers.broker.lifesigns import roles_alive, served
from workers.jobs.entrypoints import shared_url
from workers.store import Store

log = structlog.get_logger(__name__)

_ROLES = ("ingest", "score", "verdict")


class QueueMetrics(Collector):
    """Of what a server is away for, the metrics are absent, and `unmask_up` says 0."""

    def __init__(self, redis: "Redis", store: Store) -> None:
        self._redis = redis
        self._store = store

    def describe(self) -> list[GaugeMetricFamily]:
        """Names alone: registering must not ask anybody."""
        return [GaugeMetricFamily(name, text, labels=labels) for name, text, labels in FAMILIES]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read both servers."""
        families = {family.name: family for family in self.describe()}
        for part, read in (("redis", self._of_redis), ("database", self._of_database)):
            try:
                read(families)
                families["unmask_up"].add_metric([part], 1)
            except (RedisError, StoreError) as error:
                log.warning("metrics.unread", part=part, error=str(error))
                families["unmask_up"].add_metric([part], 0)
        yield from families.values()

    def _of_redis(self, into: dict[str, GaugeMetricFamily]) -> None:
        redis = self._redis
        for name in (*queues.INGEST_LANES.values(), queues.VERDICT_QUEUE):
            queue = Queue(name, connection=redis, serializer=JSONSerializer)
            into["unmask_queue_jobs"].add_metric([name], queue.count)
        into["unmask_stream_entries"].add_metric([], int(redis.xlen(queues.CROPS)))
        into["unmask_dead_letters_kept"].add_metric([], int(redis.xlen(queues.DEAD_LETTERS)))
        oldest: Any = redis.xrange(queues.CROPS, count=1)
        seconds, _ = redis.time()
        age_s = float(seconds) - int(oldest[0][0].partition(b"-")[0]) / 1000 if oldest else 0.0
        into["unmask_stream_oldest_seconds"].add_metric([], max(0.0, age_s))
        owed: Any = redis.hgetall(queues.OWED)
        by_plugin: dict[str, int] = {}
        for slug, crops in owed.items():
            key = slug.decode().partition("@")[0]
            by_plugin[key] = by_plugin.get(key, 0) + max(0, int(crops))
        for key, crops in sorted(by_plugin.items()):
            into["unmask_crops_owed"].add_metric([key], crops)
        alive: dict[str, bool] = {}
        for slug, is_served in served(redis).items():
            key = slug.partition("@")[0]
            alive[key] = alive.get(key, False) or is_served
        for key, is_served in sorted(alive.items()):
            into["unmask_plugin_served"].add_metric([key], float(is_served))
        for role, is_alive in roles_alive(redis, _ROLES).items():
            into["unmask_role_alive"].add_metric([role], float(is_alive))
        memory: Any = redis.info("memory")
        into["unmask_redis_used_bytes"].add_metric([], int(memory["used_memory"]))
        into["unmask_redis_limit_bytes"].add_metric([], int(memory.get("maxmemory", 0)))
        spent: Any = redis.info("cpu")
        used_s = float(spent["used_cpu_user"]) + float(spent["used_cpu_sys"])
        into["unmask_redis_cpu_seconds"].add_metric([], used_s)

    def _of_database(self, into: dict[str, GaugeMetricFamily]) -> None:
        open_jobs = self._store.unfinished()
        by_state = {JobState.QUEUED: 0, JobState.RUNNING: 0}
        waiting: dict[str, int] = {}
        oldest = 0.0
        now = datetime.now(UTC)
        for row in open_jobs:
            by_state[row.state] += 1
            oldest = max(oldest, (now - datetime.fromisoformat(row.created_at)).total_seconds())
            if row.reasons:
                code = row.reasons[0].code.value
                waiting[code] = waiting.get(code, 0) + 1
        for state, number in by_state.items():
            into["unmask_jobs_open"].add_metric([state.value], number)
        for code, number in sorted(waiting.items()):
            into["unmask_jobs_waiting"].add_metric([code], number)
        into["unmask_jobs_oldest_seconds"].add_metric([], oldest)


@contextmanager
def showing_queues(settings: Settings) -> Iterator[None]:
    """Register the collector as long as the block lasts; nothing where metrics are not shown."""
    if settings.metrics_port is None:
        yield
        return
    redis = Redis.from_url(shared_url(settings), socket_timeout=10)
    store = Store(settings.database())
    collector = QueueMetrics(redis, store)
    metrics.REGISTRY.register(collector)
    try:
        yield
    finally:
        metrics.REGISTRY.unregister(collector)
        store.close()
        redis.close()


FAMILIES: tuple[tuple[str, str, list[str]], ...] = (
    ("unmask_up", "1 where the server answers.", ["part"]),
    ("unmask_queue_jobs", "Jobs in a queue that no worker has taken.", ["queue"]),
    ("unmask_stream_entries", "Groups of crops in the stream.", []),
    ("unmask_stream_oldest_seconds", "Age of the oldest group of crops.", []),
    ("unmask_crops_owed", "Crops that a plugin has yet to answer for.", ["plugin"]),
    ("unmask_plugin_served", "1 where a scoring worker for the plugin lives.", ["plugin"]),
    ("unmask_role_alive", "1 where at least one process of the role lives.", ["role"]),
    ("unmask_dead_letters_kept", "Dead letters that nobody has looked after.", []),
    ("unmask_redis_used_bytes", "Memory that Redis uses.", []),
    ("unmask_redis_limit_bytes", "Its maxmemory; 0: none.", []),
    ("unmask_redis_cpu_seconds", "Processor time that Redis has used since it started.", []),
    ("unmask_jobs_open", "Unfinished jobs, the oldest thousand at most.", ["state"]),
    ("unmask_jobs_waiting", "Unfinished jobs that an outage stopped, by reason.", ["code"]),
    ("unmask_jobs_oldest_seconds", "Age of the oldest unfinished job.", []),
)
