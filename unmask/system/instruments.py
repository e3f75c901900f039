"""Every metric of every role, in one place, by Prometheus's naming rules. No label holds an id.

A video's ingest and verdict run in processes of their own, which are gone before anybody could ask
them. Such a process says `relay()` at its start and hands what it noted to its parent at its end.
"""

import json
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.process_collector import ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_LONG = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TENTHS = tuple(n / 20 for n in range(1, 21))

BUILD = Info("unmask_build", "Version and role of this process.", registry=REGISTRY)
JOBS_ENDED = Counter(
    "unmask_jobs_ended",
    "Jobs that ended, by state and, where they failed, the reason's code.",
    ["state", "code"],
    registry=REGISTRY,
)
JOB_SECONDS = Histogram(
    "unmask_job_seconds", "From submission to verdict.", buckets=_LONG, registry=REGISTRY
)
STAGE_SECONDS = Histogram(
    "unmask_stage_seconds",
    "Seconds that one video spent in a stage: fetch, decode, find, ingest (all three), verdict.",
    ["stage"],
    buckets=_LONG,
    registry=REGISTRY,
)
FRAMES = Counter(
    "unmask_frames",
    "Sampled frames by what became of them: scored, no_face, failed, dropped.",
    ["outcome"],
    registry=REGISTRY,
)
CROPS_PUBLISHED = Counter(
    "unmask_crops_published", "Face crops that ingest handed on.", registry=REGISTRY
)
ATTEMPTS_FAILED = Counter(
    "unmask_attempts_failed",
    "Attempts at a phase that failed, by reason; `outage` says whether the machine was at fault.",
    ["phase", "code", "outage"],
    registry=REGISTRY,
)
SANDBOX_LOCK = Gauge(
    "unmask_sandbox_lock_held",
    "1 where the newest decoder process was confined by this lock, 0 where the kernel has it not.",
    ["lock"],
    registry=REGISTRY,
)
CROPS_SCORED = Counter("unmask_crops_scored", "Crops scored.", ["plugin"], registry=REGISTRY)
CROPS_FAILED = Counter(
    "unmask_crops_failed", "Crops that got no score.", ["plugin", "code"], registry=REGISTRY
)
SCORE = Histogram(
    "unmask_score",
    "Scores of crops, 0 to 1: their distribution shows drift.",
    ["plugin"],
    buckets=_TENTHS,
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "unmask_batch_seconds", "Per batch.", ["plugin"], buckets=_SHORT, registry=REGISTRY
)
BATCH_CROPS = Histogram(
    "unmask_batch_crops",
    "Crops per batch.",
    ["plugin"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=REGISTRY,
)
ENGINE = Gauge(
    "unmask_engine_info", "1 for the engine in use.", ["plugin", "engine"], registry=REGISTRY
)
ENGINE_FALLBACKS = Counter(
    "unmask_engine_fallbacks",
    "Faster engines passed over when a plugin was loaded, by reason.",
    ["plugin", "code"],
    registry=REGISTRY,
)
ENGINE_DIFFERENCE = Gauge(
    "unmask_engine_max_difference",
    "Largest difference of a score from the torch reference at the engine's last parity gate.",
    ["plugin"],
    registry=REGISTRY,
)
WEBHOOK_ATTEMPTS = Counter(
    "unmask_webhook_attempts",
    "Attempts to deliver an event, by outcome: taken, again (tried later), given_up.",
    ["outcome"],
    registry=REGISTRY,
)
WEBHOOK_SECONDS = Histogram(
    "unmask_webhook_seconds",
    "Per attempt at delivering an event.",
    buckets=_SHORT,
    registry=REGISTRY,
)
DEAD_LETTERS = Counter(
    "unmask_dead_letters",
    "Crops, or groups of them, given up after three deaths.",
    ["plugin"],
    registry=REGISTRY,
)
REDIS_ERRORS = Counter(
    "unmask_redis_errors", "Errors of Redis that a loop waited out.", ["where"], registry=REGISTRY
)
VERDICTS = Counter("unmask_verdicts", "Verdicts by label.", ["verdict"], registry=REGISTRY)
VERDICT_REASONS = Counter(
    "unmask_verdict_reasons", "Reasons that verdicts carry.", ["code"], registry=REGISTRY
)
SWEPT = Counter("unmask_swept", "What the sweeper did, by action.", ["action"], registry=REGISTRY)
SWEEPS_FAILED = Counter(
    "unmask_sweeps_failed", "Passes of the sweeper that an error ended.", registry=REGISTRY
)
WORKER_RESTARTS = Counter(
    "unmask_worker_restarts", "Processes started again by `serve`.", ["role"], registry=REGISTRY
)
HTTP_REQUESTS = Counter(
    "unmask_http_requests",
    "Requests by method, route and status; unknown routes are one.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
HTTP_SECONDS = Histogram(
    "unmask_http_request_seconds",
    "Until the answer's head.",
    ["method", "route"],
    buckets=_SHORT,
    registry=REGISTRY,
)

_BY_NAME: dict[str, Any] = {
    metric._name: metric
    for metric in list(vars().values())
    if isinstance(metric, Counter | Histogram | Gauge)
}
_relayed: list[tuple[str, float, dict[str, str]]] | None = None


def count(metric: Counter, amount: float = 1, **labels: str) -> None:
    """Raise a counter."""
    _note(metric, amount, labels)


def observe(metric: Histogram, value: float, **labels: str) -> None:
    """Add a value to a histogram."""
    _note(metric, value, labels)


def level(metric: Gauge, value: float, **labels: str) -> None:
    """Set a gauge."""
    _note(metric, value, labels)


def relay() -> None:
    """From now on, keep what is noted for the parent process instead of showing it here."""
    global _relayed  # noqa: PLW0603 - one per process, as the registry is
    _relayed = []


def relayed() -> bytes:
    """What was noted since `relay`, for the parent to `absorb`."""
    return json.dumps(_relayed or []).encode()


def absorb(data: bytes) -> None:
    """Note what a child process relayed; nothing of a child that was killed half-way."""
    try:
        found = json.loads(data)
    except ValueError:
        return
    for name, value, labels in found:
        _apply(_BY_NAME[name], value, labels)


def _note(metric: Any, value: float, labels: dict[str, str]) -> None:
    if _relayed is None:
        _apply(metric, value, labels)
    else:
        _relayed.append((metric._name, value, labels))


def _apply(metric: Any, value: float, labels: dict[str, str]) -> None:
    child = metric.labels(**labels) if labels else metric
    if isinstance(metric, Histogram):
        child.observe(value)
    elif isinstance(metric, Gauge):
        child.set(value)
    else:
        child.inc(value)
