"""The whole stack on this machine: `unmask serve`, private to one check, ended whatever happens."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from console.client.client import Client
from console.commands.operation.receivers import Receivers
from unmask.errors import ConfigError

START_S = 180.0
#: Of the operator's settings: how videos are judged. All else is the check's: neither Redis nor the
#: database of a service that runs may be written to because its address is in the environment.
_OBEYED = (
    "UNMASK_DEVICE", "UNMASK_ENGINE", "UNMASK_ENGINE_DIR",
    "UNMASK_FACE_DETECTOR", "UNMASK_PLUGINS", "UNMASK_POLICY", "UNMASK_SAMPLE", "UNMASK_WEIGHTS_DIR",
)  # fmt: skip


@contextmanager
def running_stack(
    folder: Path, received: Receivers | None, console: Console, database: str | None = None
) -> Iterator[tuple[Client, psutil.Process, int]]:
    """`unmask serve` with its workers, a private Redis and database, metrics, and traces to `received`."""
    port, metrics_at = _free_port(), _free_port(room=16)
    own = {k: v for k, v in os.environ.items() if not k.startswith("UNMASK_")}
    asked = {name: os.environ[name] for name in _OBEYED if name in os.environ}
    given = {
        "UNMASK_DATA_DIR": str(folder / "data"),
        "UNMASK_METRICS_PORT": str(metrics_at),
        "UNMASK_LOG_LEVEL": "warning",
    }
    if database is not None:
        given["UNMASK_DATABASE_URL"] = database
    if received is not None:
        given["UNMASK_OTLP_ENDPOINT"] = received.url
        given["UNMASK_FETCH_PRIVATE"] = json.dumps([received.place])
    written = (folder / "serve.log").open("wb")
    command = [sys.executable, "-c", "from console.cli import main; main()",
               "serve", "--port", str(port)]  # fmt: skip
    process = subprocess.Popen(
        command, env=own | asked | given, stdout=written, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    server = psutil.Process(process.pid)
    client = Client(f"http://127.0.0.1:{port}")
    try:
        with console.status("starting the API, its workers, Redis and the database"):
            is_ready = until(lambda: _ready(port), START_S)
        if not is_ready:
            raise ConfigError(
                f"the server was not ready within {START_S:.0f} s.",
                fix="Look at serve.log in the folder of --keep, and at `unmask doctor`.",
            )
        yield client, server, metrics_at
    finally:
        for child in (*server.children(recursive=True), server) if server.is_running() else ():
            child.kill()
        process.wait()
        written.close()


def shown_metrics(first_port: int, processes: int) -> Iterator[Metric]:
    """Every family of every process that shows any; they listen at one port after the other."""
    for port in range(first_port, first_port + processes + 1):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
        except OSError:
            continue
        yield from text_string_to_metric_families(text)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def until(told: Callable[[], bool], seconds: float) -> bool:
    """Wait for it; False where it did not come within `seconds`."""
    deadline = time.monotonic() + seconds
    while not told():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True


def _free_port(room: int = 0) -> int:
    """A free port with `room` free ones after it, as far as can be told."""
    for _ in range(50):
        with socket.socket() as asked:
            asked.bind(("127.0.0.1", 0))
            port = int(asked.getsockname()[1])
        if all(_is_free(port + n) for n in range(1, room + 1)):
            return port
    raise ConfigError("no row of free ports was found.", fix="Stop what listens, and try again.")


def _is_free(port: int) -> bool:
    with socket.socket() as asked:
        try:
            asked.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
