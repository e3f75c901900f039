"""The outages: what each does to a lab, for how many seconds, until it is over."""

import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil
from redis import Redis

from benchmarks.outage_lab import ROLES, Lab


def nothing(_lab: Lab, _seconds: float) -> None:
    """No outage: how long the same jobs take on a machine that is as busy."""


def redis_full(lab: Lab, seconds: float) -> None:
    """Below what it uses: every write is refused."""
    with Redis.from_url(lab.url) as redis:
        redis.config_set("maxmemory", max(1, int(redis.info("memory")["used_memory"]) - 50_000))
        time.sleep(seconds)
        redis.config_set("maxmemory", 0)


def redis_nearly_full(lab: Lab, seconds: float) -> None:
    """Small writes pass, crops do not."""
    with Redis.from_url(lab.url) as redis:
        redis.config_set("maxmemory", int(redis.info("memory")["used_memory"]) + 120_000)
        time.sleep(seconds)
        redis.config_set("maxmemory", 0)


def redis_away(lab: Lab, seconds: float) -> None:
    """kill -9, and back later; without an append-only file it comes back empty."""
    lab.kill_redis()
    time.sleep(seconds)
    lab.start_redis()


def database_locked(lab: Lab, seconds: float) -> None:
    """Another process writes and does not stop."""
    path = lab.settings.database().removeprefix("sqlite:///")
    with sqlite3.connect(path, timeout=60, isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")


def database_away(lab: Lab, seconds: float) -> None:
    """PostgreSQL ended with SIGQUIT, and started again later."""
    assert lab.postgres is not None
    lab.postgres.halt()
    time.sleep(seconds)
    lab.postgres.start()


def disk_full(lab: Lab, seconds: float) -> None:
    """Uploads, evidence and, where they lie there, database and Redis: to the last byte."""
    filler = lab.data / "filler"
    for piece in (bytes(65536), b"0"):
        with filler.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(piece)
    time.sleep(seconds)
    filler.unlink()


def stopped(lab: Lab, seconds: float) -> None:
    """SIGSTOP to every process, then SIGCONT."""
    held = [process for _, process in lab.family()]
    _signal(held, signal.SIGSTOP)
    time.sleep(seconds)
    _signal(held, signal.SIGCONT)


def clock_back(lab: Lab, seconds: float) -> None:
    """Every wall clock an hour back, Redis's too; it stays so."""
    lab.step_clock(-3600)
    time.sleep(seconds)


def clock_forward(lab: Lab, seconds: float) -> None:
    """Every wall clock an hour on, Redis's too; it stays so."""
    lab.step_clock(3600)
    time.sleep(seconds)


def told_to_stop(lab: Lab, seconds: float) -> None:
    """SIGTERM to every role in the middle of its work; others take over. Prints the longest end."""
    begun = time.monotonic()
    for role in ROLES:
        lab.crew[role].terminate()
    longest = 0.0
    for role in ROLES:
        lab.crew[role].wait(timeout=120)
        longest = max(longest, time.monotonic() - begun)
    print(f"  told to stop: all ended within {longest:.1f} s", flush=True)
    for role in ROLES:
        lab.start(role)
    time.sleep(seconds)


class Killing:
    """kill -9 to processes at random, as often as asked, spread over the jobs."""

    def __init__(self, kills: int, jobs: int, judged: Callable[[], int], seed: int) -> None:
        self.kills, self.jobs, self.judged, self.seed = kills, jobs, judged, seed

    def __call__(self, lab: Lab, _seconds: float) -> None:
        chance = random.Random(self.seed)
        hit: dict[str, int] = dict.fromkeys(ROLES, 0)
        for number in range(self.kills):
            if number % 20 == 0:
                print(f"  {number} kills, {self.judged()} judged", flush=True)
            self._await(number * self.jobs / self.kills)
            time.sleep(chance.uniform(0.0, 3.0))
            there = [(role, each) for role, each in lab.family() if _is_up(each)]
            if not there:
                continue
            role, victim = chance.choice(there)
            with suppress(psutil.NoSuchProcess):
                victim.kill()
                hit[role] += 1
            if victim.pid == lab.crew[role].pid:
                lab.crew[role].wait()
                lab.start(role)
        print(f"  {sum(hit.values())} kill -9: {hit}", flush=True)

    def _await(self, number: float) -> None:
        """Until so many are judged, for a few seconds at most: a kill may hit a standstill too."""
        deadline = time.monotonic() + 10
        while self.judged() < number and time.monotonic() < deadline:
            time.sleep(0.3)


def _is_up(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.send_signal(number)


@dataclass(frozen=True)
class Kind:
    """An outage, and where it takes place."""

    do: Callable[[Lab, float], None]
    seconds: float = 60.0
    aof: bool = True
    disk_mb: int = 0
    """The size of the disk that is filled; 0: none is."""
    whole_disk: bool = False
    """Redis and the database lie on it too."""
    clock: bool = False
    postgres: bool = False


KINDS: dict[str, Kind] = {
    "none": Kind(nothing, seconds=0),
    "redis-full": Kind(redis_full),
    "redis-nearly-full": Kind(redis_nearly_full),
    "redis-away": Kind(redis_away),
    "redis-lost-no-aof": Kind(redis_away, aof=False),
    "database-locked": Kind(database_locked),
    "database-away": Kind(database_away, postgres=True),
    "disk-full": Kind(disk_full, disk_mb=8),
    "whole-disk-full": Kind(disk_full, disk_mb=64, whole_disk=True),
    "stopped": Kind(stopped, seconds=90),
    "clock-back-1h": Kind(clock_back, seconds=5, clock=True),
    "clock-forward-1h": Kind(clock_forward, seconds=5, clock=True),
    "told-to-stop": Kind(told_to_stop, seconds=0),
}
