"""Real worker processes for tests, with short patience, each of which a test may kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import psutil

_REPOSITORY = Path(__file__).resolve().parents[3]
_RUN = """
import os, sys
from unmask.settings import Settings
from workers.run.lifeline import follow_parent
from workers.run.roles import run_role
follow_parent(int(sys.argv[2]))
drain_s = float(os.environ.get("TEST_DRAIN_S", "25"))
sys.exit(run_role(
    sys.argv[1], Settings(), claim_idle_ms=800, believed_s=3, sweep_every_s=0.4, drain_s=drain_s
))
"""


class Crew:
    """Starts roles with `environment` on top of this process's, logs to `folder`/ROLE.log."""

    def __init__(self, folder: Path, site: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        paths = [str(site), str(_REPOSITORY)]
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("UNMASK_")},
            "PYTHONPATH": os.pathsep.join(paths),
            "UNMASK_LOG": "json",
            **environment,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str, **environment: str) -> None:
        with (self.folder / f"{role}.log").open("ab") as log:
            self.processes[role] = subprocess.Popen(
                [sys.executable, "-c", _RUN, role, str(os.getpid())],
                env={**self._environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def kill(self, role: str) -> None:
        """SIGKILL to the role's process and to whatever it spawned."""
        process = self.processes.pop(role)
        family = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
        for child in family:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        process.wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait_for(
        self, what: Callable[[], object], seconds: float = 240.0, *, may_end: Collection[str] = ()
    ) -> None:
        """Wait until `what` is true; fails early, with the log, where a process has ended that may not."""
        deadline = time.monotonic() + seconds
        while not what():
            for role, process in self.processes.items():
                ended = role not in may_end and process.poll() is not None
                assert not ended, f"{role} ended:\n{self.log(role)}"
            assert time.monotonic() < deadline, "\n".join(self.log(r) for r in self.processes)
            time.sleep(0.01)

    def log(self, role: str) -> str:
        return f"--- {role}\n" + (self.folder / f"{role}.log").read_text()[-3000:]
