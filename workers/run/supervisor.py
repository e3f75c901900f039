"""Start the worker roles as child processes, start them again when they die, stop them with us."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import get_args

import structlog

from unmask.settings import Settings
from unmask.system import instruments as metrics
from workers.engines.allocator import tuned_environment
from workers.run.roles import Role

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.5
#: Longer than a role takes to finish the job in hand (rq_worker.DRAIN_S).
_STOP_S = 30.0
#: A child that dies young is started again later and later, up to this.
_LONGEST_WAIT_S = 30.0
_YOUNG_S = 10.0


@dataclass
class Child:
    """One place in the crew, and who fills it."""

    role: Role
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    wait_s: float = 0.0
    restarts: int = 0


class Supervisor:
    """A context manager around `ingest`, `score` and `verdict` processes of these settings.

    `settings.redis_url` must name the Redis they share; an embedded one is passed by its URL. The
    verdict role sweeps. Children end with this process, however it ends.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        ingest: int = 1,
        score: int = 1,
        verdict: int = 1,
        stream: int = 0,
    ) -> None:
        self._settings = settings
        self._environment = environment(settings)
        crew: dict[Role, int] = {
            "score": score,
            "verdict": verdict,
            "ingest": ingest,
            "stream": stream,
        }
        self.children = [Child(role) for role, count in crew.items() for _ in range(count)]
        self._stopping = threading.Event()
        self._monitor = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> "Supervisor":
        for child in self.children:
            self._start(child)
        self._monitor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """SIGTERM to all; SIGKILL to those that are still there a while later."""
        self._stopping.set()
        if self._monitor.is_alive():
            self._monitor.join()
        running = [c.process for c in self.children if c.process and c.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _STOP_S
        for process in running:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def alive(self) -> dict[Role, int]:
        """Running children by role."""
        counts: dict[Role, int] = dict.fromkeys(get_args(Role), 0)
        for child in self.children:
            if child.process is not None and child.process.poll() is None:
                counts[child.role] += 1
        return counts

    def _start(self, child: Child) -> None:
        command = [sys.executable, "-m", "workers.run.roles", child.role, str(os.getpid())]
        # A session of its own: Ctrl-C reaches this process, which then stops the children in order.
        # glibc reads its malloc settings at the start of a process; torch wants its own.
        tuned = child.role == "score"
        own = self._environment | self._metrics_port(child)
        child.process = subprocess.Popen(
            command,
            env=tuned_environment(own) if tuned else own,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        child.started_at = time.monotonic()

    def _metrics_port(self, child: Child) -> dict[str, str]:
        """The parent has the port of the settings, its children those that follow."""
        if not self._settings.metrics_port:
            return {}
        port = self._settings.metrics_port + 1 + self.children.index(child)
        return {"UNMASK_METRICS_PORT": str(port)}

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            for child in self.children:
                if child.process is None or child.process.poll() is None:
                    continue
                lived = time.monotonic() - child.started_at
                if lived < child.wait_s:
                    continue
                young = lived < _YOUNG_S + child.wait_s
                child.wait_s = min(max(1.0, child.wait_s * 2), _LONGEST_WAIT_S) if young else 0.0
                child.restarts += 1
                metrics.count(metrics.WORKER_RESTARTS, role=child.role)
                log.warning(
                    "worker.restarted",
                    role=child.role,
                    exit_code=child.process.returncode,
                    restarts=child.restarts,
                )
                self._start(child)


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment, with every setting spelled out so that `Settings()` equals them."""
    found = {k: v for k, v in os.environ.items() if not k.startswith("UNMASK_")}
    for name, value in settings.model_dump(mode="json").items():
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            found[f"UNMASK_{name.upper()}"] = text
    return found
