"""Judge many videos on a Ray cluster: every actor is a local pipeline, one video after the other.

For archives: videos that are judged once, without a service. What a service needs, priorities, retries
over outages, live streams, is what Redis and the roles are for.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog

from unmask.errors import ConfigError, ReasonCode
from unmask.messages import JobState, Reason
from unmask.settings import Settings
from unmask.system import logs
from workers.run.local import LocalPipeline
from workers.run.scan_result import Input, ScanResult

log = structlog.get_logger(__name__)

#: A video over which so many actors died is not tried again.
_TRIES = 3
#: Crops stay within an actor: what goes through Ray's own store is paths and verdicts.
_OBJECT_STORE_BYTES = 100 << 20
#: Starts of Ray that are tried, where each is too slow.
_STARTS = 3


class Judge:
    """What an actor is: loads its detectors once, and judges what it is given."""

    def __init__(self, settings: Settings, *, allow_untrained: bool) -> None:
        logs.configure(settings)
        self._pipeline = LocalPipeline(
            settings, settings.plugins, allow_untrained=allow_untrained, side_by_side=1
        ).__enter__()

    def judge(self, given: Input) -> ScanResult:
        """The outcome, without its pictures: those lie on the actor's machine."""
        (result,) = self._pipeline.judge_all([given])
        return replace(result, evidence_dir=None)


@dataclass(frozen=True, kw_only=True)
class _UnderWay:
    actor: Any
    given: Input
    tries: int


def judge_on_ray(
    inputs: Iterable[Input],
    settings: Settings,
    *,
    workers: int,
    address: str | None = None,
    allow_untrained: bool = False,
) -> Iterator[ScanResult]:
    """One outcome an input, in the order in which they are ready; nothing is held back.

    `workers`: actors, a processor each. `address`: of a Ray cluster ("auto": the one that this machine
    is part of); None starts one here. Paths must lead to the same files on every machine. Where an
    actor dies, another takes its place and the video is tried anew, three times in all. Raises
    ConfigError without Ray.
    """
    ray = _ray()
    began = not ray.is_initialized()
    if began:
        _start(ray, address, workers)
    try:
        kind = ray.remote(num_cpus=1)(Judge)
        make = partial(kind.remote, settings, allow_untrained=allow_untrained)
        yield from _shared_out(ray, make, workers, inputs)
    finally:
        if began:
            ray.shutdown()


def _start(ray: Any, address: str | None, workers: int) -> None:
    """Join the cluster at `address`, or start one here. Ray gives its own processes 30 s to start,
    which a busy machine may need more of: a start that was too slow is tried again."""
    here = {"num_cpus": workers, "object_store_memory": _OBJECT_STORE_BYTES}
    for tries_left in reversed(range(_STARTS)):
        try:
            ray.init(
                address=address,
                include_dashboard=False if address is None else None,
                log_to_driver=False,
                logging_level="WARNING",
                **(here if address is None else {}),
            )
        except Exception as error:
            if not tries_left or "timed out during startup" not in str(error):
                raise
            log.warning("ray.slow_start", tries_left=tries_left)
            ray.shutdown()
        else:
            return


def _shared_out(
    ray: Any, make: Callable[[], Any], workers: int, inputs: Iterable[Input]
) -> Iterator[ScanResult]:
    coming = ((given, 0) for given in inputs)
    again: deque[tuple[Input, int]] = deque()
    free = deque(make() for _ in range(workers))
    under_way: dict[Any, _UnderWay] = {}
    while True:
        while free and (turn := again.popleft() if again else next(coming, None)) is not None:
            actor, (given, tries) = free.popleft(), turn
            under_way[actor.judge.remote(given)] = _UnderWay(actor=actor, given=given, tries=tries)
        if not under_way:
            return
        [done], _ = ray.wait(list(under_way), num_returns=1)
        one = under_way.pop(done)
        try:
            result = ray.get(done)
        except ray.exceptions.RayActorError as error:
            log.warning("rescan.actor_died", video=str(one.given.shown), tries=one.tries + 1)
            if one.tries + 1 < _TRIES:
                again.append((one.given, one.tries + 1))
            else:
                yield _died(one.given, error)
            # Another in its place: Ray's own restart refuses work for as long as it takes.
            with suppress(ray.exceptions.RayError):
                ray.kill(one.actor)
            free.append(make())
        else:
            free.append(one.actor)
            yield result


def _died(given: Input, error: Exception) -> ScanResult:
    said = f"the process that judged it died {_TRIES} times ({type(error).__name__})."
    return ScanResult(
        input=given,
        job_id="",
        job_status=JobState.FAILED,
        verdict=None,
        reasons=(Reason(code=ReasonCode.INTERNAL, message=said),),
        evidence_dir=None,
    )


def _ray() -> Any:
    # Before it is imported: it reports to its makers unless told not to, gives up starting after 30 s
    # on a machine that is busy, and would hide graphics cards from actors that ask for none.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_agent_register_timeout_ms", "300000")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("Ray is not installed.", fix="pip install 'ray>=2.50,<3'") from error
    return ray
