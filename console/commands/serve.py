"""`unmask serve`: API, page and workers on one machine, with Redis and a database where none are set."""

import gc
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType

import structlog
import uvicorn
from redis import Redis
from rich.console import Console

from console.web.app import create_app
from console.web.door.connections import Connections, protocol
from detect_plugins.catalogue import load_catalogue
from ingest.fetching.places import allowance
from unmask.errors import ConfigError
from unmask.settings import Settings
from unmask.system import logs, tracing
from workers.broker.connect import connect
from workers.jobs.deliver import Deliverer
from workers.jobs.selection import select
from workers.run.exposition import Exposition
from workers.run.supervisor import Supervisor
from workers.store import Store

log = structlog.get_logger(__name__)

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def run_server(
    settings: Settings,
    *,
    host: str,
    port: int,
    ingest_workers: int,
    score_workers: int,
    verdict_workers: int,
    insecure: bool = False,
) -> int:
    """Serve until told to stop by Ctrl-C or SIGTERM; stops every process it started.

    Raises ConfigError, also where others could reach it and nobody has a key; BrokerError,
    StoreError.
    """
    alone = ingest_workers + score_workers + verdict_workers == 0
    if alone and settings.redis_url is None:
        raise ConfigError(
            "--api-only needs the Redis that the workers share.",
            fix="Set UNMASK_REDIS_URL (and UNMASK_DATABASE_URL), or leave --api-only out.",
        )
    logs.configure(settings)
    tracing.configure(settings, "api")
    # Also for the children, whose working directory may be another one day.
    settings = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
    listening = _listen(host, port)
    signal.signal(signal.SIGTERM, _stop)
    with listening, connect(settings) as found:
        shared = settings.model_copy(update={"redis_url": found.url})
        store = Store(shared.database())
        private = host in _LOOPBACK and not set(settings.allowed_hosts) - _LOOPBACK
        if not (private or insecure or store.keys.exist() or settings.oidc_issuer):
            store.close()
            raise ConfigError(
                f"others could reach {host}, and no key says who may do what.",
                fix="Make one with `unmask keys create --role admin --name NAME`, set "
                "UNMASK_OIDC_ISSUER, or let everybody in with --insecure.",
            )
        crew = (
            nullcontext()
            if alone
            else Supervisor(
                shared,
                ingest=ingest_workers,
                score=_scorers(shared, score_workers),
                verdict=verdict_workers,
                stream=verdict_workers,
            )
        )
        app = create_app(
            shared,
            store=store,
            redis=found.redis,
            allowed_hosts=sorted(_LOOPBACK | {host} | set(settings.allowed_hosts)),
            is_open=private or insecure,
        )
        app.openapi()  # made once, and not while the first caller waits
        config = uvicorn.Config(
            app,
            http=protocol(Connections(settings)),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
            root_path=settings.root_path.rstrip("/"),
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
        )
        exposed = Exposition(shared, "api")
        pushed = _delivering(shared, store, found.redis)
        with exposed, suppress(KeyboardInterrupt, SystemExit), crew, pushed:
            gc.freeze()  # what was imported stays: a collection that looks through it holds answers up
            _announce(listening, host, is_open=app.state.gate.is_open())
            uvicorn.Server(config).run(sockets=[listening])
        store.close()
        Console(stderr=True).print("Stopped. Unfinished jobs go on at the next start.")
    return 0


@contextmanager
def _delivering(settings: Settings, store: Store, redis: Redis) -> Iterator[None]:
    """Webhooks are sent from this process, as long as it serves."""
    stopping = threading.Event()
    deliverer = Deliverer(
        store=store, redis=redis, allowance=allowance(settings), proxy=settings.fetch_proxy
    )
    thread = threading.Thread(target=deliverer.run, args=(stopping,), name="webhooks", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(timeout=20)


def _listen(host: str, port: int) -> socket.socket:
    """Bound before anything is started, so that a taken port costs nothing. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}.",
            fix="Name another with --port, or --port 0 for a free one.",
        ) from error
    return listening


def _announce(listening: socket.socket, host: str, *, is_open: bool) -> None:
    shown = f"[{host}]" if ":" in host else host
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"Unmask is at http://{shown}:{listening.getsockname()[1]}/  (Ctrl-C stops it)")
    if is_open and host in _LOOPBACK:
        console.print("Open to everybody on this machine until the first `unmask keys create`.")
    elif is_open:
        console.print(
            "--insecure: everybody who can reach this address may do everything.", style="yellow"
        )
    sys.stdout.flush()


def _scorers(settings: Settings, wanted: int) -> int:
    """How many scoring processes make sense: none where there is nothing to score with."""
    if (
        wanted == 0
        or select(load_catalogue(), settings, allow_untrained=bool(settings.plugins)).scoring
    ):
        return wanted
    log.warning(
        "serve.no_weights", fix="Every verdict will be inconclusive: train or fetch a bundle."
    )
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
