"""The application behind uvicorn on a real socket, as `unmask serve` runs it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from console.web.door.connections import Connections, protocol
from unmask.settings import Settings


@contextmanager
def serving(app: FastAPI, settings: Settings, *, most: int | None = None) -> Iterator[int]:
    """The port it listens on."""
    config = uvicorn.Config(
        app,
        http=protocol(Connections(settings, most=most)),
        port=0,
        log_config=None,
        root_path=settings.root_path,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(timeout=60)
