"""A small HTTP server beside a role: /metrics for Prometheus, /health/... for an orchestrator."""

import json
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis import Redis
from redis.exceptions import RedisError

from unmask import __version__
from unmask.errors import ConfigError
from unmask.settings import Settings
from unmask.system import instruments as metrics

#: Name of a cause -> what is wrong with it; an empty answer is health.
Check = Callable[[], dict[str, str]]

_PATIENCE_S = 5.0


def causes(url: str, settings: Settings) -> dict[str, str]:
    """Why a worker could not do its work now: what is away, and what it says."""
    found: dict[str, str] = {}
    redis = Redis.from_url(url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S)
    try:
        redis.ping()
    except RedisError as error:
        found["redis"] = str(error)
    finally:
        redis.close()
    try:
        with tempfile.TemporaryFile(dir=settings.data_dir) as file:
            file.write(b"0")
            file.flush()
    except OSError as error:
        found["data_dir"] = str(error)
    return found


class Exposition:
    """A context manager; does nothing where no port is set. Raises ConfigError for a taken port."""

    def __init__(self, settings: Settings, role: str, check: Check | None = None) -> None:
        self._settings = settings
        self._check = check or dict
        self._server: ThreadingHTTPServer | None = None
        metrics.BUILD.info({"version": __version__, "role": role})

    @property
    def port(self) -> int | None:
        """In use; None where it does not listen."""
        return None if self._server is None else int(self._server.server_address[1])

    def __enter__(self) -> "Exposition":
        if self._settings.metrics_port is None:
            return self
        address = (self._settings.metrics_host, self._settings.metrics_port)
        try:
            self._server = ThreadingHTTPServer(address, self._handler())
        except OSError as error:
            raise ConfigError(
                f"cannot show metrics on {address[0]}:{address[1]}: {error.strerror}.",
                fix="Give every process of this host its own UNMASK_METRICS_PORT.",
            ) from error
        self._server.daemon_threads = True
        serve = self._server.serve_forever
        threading.Thread(target=serve, name="exposition", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        check = self._check

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._send(200, CONTENT_TYPE_LATEST, generate_latest(metrics.REGISTRY))
                elif self.path in ("/health/live", "/health/startup"):
                    self._json(200, {"status": "ok"})
                elif self.path == "/health/ready":
                    causes = check()
                    self._json(503 if causes else 200, {"ready": not causes, "causes": causes})
                else:
                    self._json(404, {"status": "there is /metrics and /health/live|startup|ready"})

            def _json(self, status: int, body: object) -> None:
                self._send(status, "application/json", json.dumps(body).encode())

            def _send(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Scrapes are no news."""

        return Handler
