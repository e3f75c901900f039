"""What `unmask worker ingest|score|verdict|stream` runs. Each role is one process; start as many as fit.

Each ends on SIGTERM or SIGINT after what it has in hand; a killed one is made good by the others.
"""

import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import structlog

from detect_plugins.catalogue import load_catalogue
from ingest.sandbox.process import TEMPLATE
from unmask.errors import ConfigError
from unmask.queues import CLAIM_IDLE_MS, INGEST_LANES, VERDICT_QUEUE
from unmask.requests.lanes import WEIGHTS, orders
from unmask.settings import Settings
from unmask.system import logs, tracing
from workers.broker.connect import check, connect
from workers.jobs.entrypoints import shared_url
from workers.jobs.selection import Selection, select
from workers.jobs.settle import enqueue_verdict, settle
from workers.live.stream_worker import StreamWorker
from workers.run.exposition import Exposition, causes
from workers.run.lifeline import follow_parent
from workers.run.queue_metrics import showing_queues
from workers.run.role_beat import RoleBeat
from workers.run.rq_worker import BELIEVED_S, DRAIN_S, work_until_told
from workers.run.sweeping import SWEEP_EVERY_S, Sweeping
from workers.scoring.load_scorer import load_scorer
from workers.scoring.loop import Pace, PluginLoop
from workers.store import Store

log = structlog.get_logger(__name__)

Role = Literal["ingest", "score", "verdict", "stream"]
_LOOK_EVERY_S = 0.5
_RECHECK_S = 30.0


def run_role(
    role: Role,
    settings: Settings,
    *,
    claim_idle_ms: int = CLAIM_IDLE_MS,
    believed_s: int = BELIEVED_S,
    sweep_every_s: float = SWEEP_EVERY_S,
    drain_s: float = DRAIN_S,
) -> int:
    """Run one role until told to stop; its exit code.

    Raises ConfigError without a shared Redis, BrokerError, StoreError, PluginBroken: at its start
    alone. Once it runs, it stays up through whatever happens to Redis, the database and the disk.
    """
    os.umask(0o077)  # pictures of people: for this user's eyes
    logs.configure(settings)
    tracing.configure(settings, role)
    url = shared_url(settings)
    check(url).redis.close()
    with RoleBeat(url, role), Exposition(settings, role, lambda: causes(url, settings)):
        if role == "score":
            return run_score(settings, claim_idle_ms=claim_idle_ms)
        Store(settings.database()).close()  # migrate now, not in the first job
        # The jobs read their settings from the environment; one Redis for them and for us.
        os.environ["UNMASK_REDIS_URL"] = url
        if role == "stream":
            return run_streams(settings)
        if role == "ingest":
            TEMPLATE.lend()
            work_until_told(
                [INGEST_LANES[lane] for lane in WEIGHTS],
                url,
                believed_s=believed_s,
                drain_s=drain_s,
                level=_level(settings),
                orders=([INGEST_LANES[lane] for lane in order] for order in orders()),
                ready="workers.jobs.ingest_entrypoint" if settings.spare_process else None,
            )
            return 0
        with Sweeping(settings, sweep_every_s), showing_queues(settings):
            work_until_told(
                [VERDICT_QUEUE],
                url,
                believed_s=believed_s,
                drain_s=drain_s,
                level=_level(settings),
                ready="workers.jobs.entrypoints" if settings.spare_process else None,
            )
        return 0


def _level(settings: Settings) -> str:
    return settings.log_level.upper()


def run_score(settings: Settings, *, claim_idle_ms: int = CLAIM_IDLE_MS) -> int:
    """Score with every plugin of the settings, else every trained one, until told to stop.

    Exit code 1 where a loop ended by itself, and 0 where it was told to, or where the weights on
    disk changed: whoever supervises it starts it again with the new ones.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with connect(settings) as found:
        hosted = _hosted(settings)
        if not hosted.scoring:
            raise ConfigError(
                "no plugin with trained weights to score with.",
                fix="Put a bundle into UNMASK_WEIGHTS_DIR, or name plugins in UNMASK_PLUGINS.",
            )
        catalogue = load_catalogue()
        turn = threading.Lock()
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        pace = Pace(
            batch_size=settings.batch_size,
            delay_ms=settings.batch_delay_ms,
            group_crops=settings.group_crops,
            claim_idle_ms=claim_idle_ms,
        )
        loops = []
        for ref in hosted.scoring:
            entry = catalogue.get(ref.key)
            loop = PluginLoop(
                found.redis,
                ref,
                name,
                load=partial(load_scorer, entry, ref, settings),
                settle=settle,
                on_settled=partial(enqueue_verdict, found.redis),
                stopping=stopping,
                turn=turn,
                pace=pace,
            )
            loops.append(loop)
            loop.start()
        log.info("scoring.started", plugins=[ref.slug for ref in hosted.scoring], consumer=name)
        _watch(loops, stopping, lambda: _hosted(settings) != hosted)
        stopping.set()
        for loop in loops:
            loop.join()
        return 1 if any(loop.fault is not None for loop in loops) else 0


def run_streams(settings: Settings) -> int:
    """Watch live streams until told to stop; what is watched then goes on elsewhere."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    store = Store(settings.database())
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    with connect(settings) as found:
        StreamWorker(found.redis, store, settings, name).run(stopping)
    store.close()
    return 0


def _hosted(settings: Settings) -> Selection:
    # A plugin that an operator names is served untrained too; a job must still ask for it so.
    return select(load_catalogue(), settings, allow_untrained=bool(settings.plugins))


def _watch(loops: list[PluginLoop], stopping: threading.Event, changed: Callable[[], bool]) -> None:
    """Wait for the signal, for a loop to end, or for other weights to appear."""
    checked = time.monotonic()
    while not stopping.wait(_LOOK_EVERY_S):
        if not all(loop.is_alive() for loop in loops):
            return
        if time.monotonic() - checked >= _RECHECK_S:
            checked = time.monotonic()
            if changed():
                log.info("scoring.weights_changed")
                return


def main(arguments: list[str]) -> int:
    """`python -m workers.run.roles ROLE PARENT_PID`: how the supervisor starts a role."""
    role, parent = arguments
    follow_parent(int(parent))
    if role not in get_args(Role):
        raise ConfigError(f"no role is called {role!r}.")
    return run_role(role, Settings())  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
