"""Outages on real processes: what was lost, what failed, what came twice, how long until all was well.

    python benchmarks/outages.py                                  # every kind, a minute each
    python benchmarks/outages.py --seconds 600 --only redis-full,disk-full --at-once 2
    python benchmarks/outages.py --only killed --jobs 300 --kills 200 --crops shm

Real Redis, a real database, real decoding, the workers' own pace; a detector on numpy stands in for
the networks. Every kind has a crew of its own and begins while jobs are under way. `after` is the
time from the outage's end to a verdict, over all jobs; of `killed`, whose outage ends with the last
kill, the longest time without any verdict is shown too. Exit code 1 where anything did not hold. A
full disk needs root (a tmpfs of a few megabytes), a stepped clock a C compiler; without
them the line says so.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from redis import Redis
from sqlalchemy import create_engine, func, select

from benchmarks.outage_kinds import KINDS, Killing, Kind, nothing
from benchmarks.outage_lab import ROLES, Lab, clock_library, small_disk
from console.commands.operation.stress import quantile
from ingest.crop_store import folder_for
from tests.fakes import KEY, install_brightness
from tests.integration.workers.clips import pan
from tests.integration.workers.handing_in import submit
from tests.postgres import NoPostgres, PrivatePostgres
from unmask import queues
from unmask.errors import StoreError
from unmask.settings import Settings
from unmask.system import logs
from workers.run.local import LocalPipeline
from workers.store import Store
from workers.store.sql_tables import VERDICTS

_CLIPS = 12
#: How long after an outage is waited for the last verdict, at least.
_PATIENCE_S = 300.0
_RECOVERY_S = 60.0
#: A stray file of crops is one after two minutes, and looked for once a minute.
_SWEPT_S = 240.0
#: Alembic keeps what it migrates in a global.
_MIGRATING = threading.Lock()


@dataclass(frozen=True)
class Work:
    """What every lab is given to judge, clip after clip and again from the first; where its crops lie."""

    site: Path
    clips: Sequence[Path]
    expected: Sequence[str]
    jobs: int
    crops: Literal["redis", "shm"]


class Watch:
    """Notes when each job ended, from a thread, so that an outage may take its time."""

    def __init__(self, store: Store, ids: Sequence[str]) -> None:
        self.store, self.ids = store, ids
        self.ended: dict[str, tuple[float, str]] = {}
        """Job -> when, by a monotonic clock, and its state."""
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.stop.wait(0.3):
            for job_id in [each for each in self.ids if each not in self.ended]:
                with suppress(StoreError):
                    row = self.store.job(job_id)
                    if row is not None and not row.state.is_open:
                        self.ended[job_id] = (time.monotonic(), row.state.value)

    def wait(self, lab: Lab, seconds: float) -> None:
        """Until all have ended, or for so long without one that does."""
        seen, since = -1, time.monotonic()
        while len(self.ended) < len(self.ids):
            lab.start_again()
            if len(self.ended) != seen:
                seen, since = len(self.ended), time.monotonic()
            if time.monotonic() - since > seconds:
                return
            time.sleep(0.3)


def run(
    name: str, kind: Kind, work: Work, keep: Path | None, undisturbed_s: float
) -> tuple[bool, float, str]:
    """One kind: whether it held, the p99 of its recovery, and its line of the table."""
    with tempfile.TemporaryDirectory(prefix="outage-") as made, ExitStack() as stack:
        library = clock_library(Path(made)) if kind.clock else None
        if kind.clock and library is None:
            return True, 0.0, f"{name:18} not run: no C compiler"
        folder = Path(made) / "lab"
        folder.mkdir()
        if kind.whole_disk and not stack.enter_context(small_disk(folder, kind.disk_mb)):
            return True, 0.0, f"{name:18} not run: a tmpfs needs root"
        try:
            postgres = stack.enter_context(PrivatePostgres()) if kind.postgres else None
        except NoPostgres as error:
            return True, 0.0, f"{name:18} not run: {error}"
        lab = Lab(
            folder,
            work.site,
            keep or Path(made),
            aof=kind.aof,
            clock=library,
            postgres=postgres,
            crops=work.crops,
        )
        small = kind.disk_mb and not kind.whole_disk
        if small and not stack.enter_context(small_disk(lab.data, kind.disk_mb)):
            return True, 0.0, f"{name:18} not run: a tmpfs needs root"
        stack.callback(lab.stop)
        return _run(lab, name, kind, work, undisturbed_s)


def _run(
    lab: Lab, name: str, kind: Kind, work: Work, undisturbed_s: float
) -> tuple[bool, float, str]:
    lab.start_redis()
    with _MIGRATING:
        store = Store(lab.settings.database())
    with Redis.from_url(lab.url) as redis:
        ids = [
            submit(store, redis, lab.settings, work.clips[n % len(work.clips)]).id
            for n in range(work.jobs)
        ]
        began = time.monotonic()
        watch = Watch(store, ids)
        outage = kind.do
        if isinstance(outage, Killing):
            outage.judged = lambda: len(watch.ended)
        for role in ROLES:
            lab.start(role)
        deadline = time.monotonic() + 240
        while not redis.exists(queues.CROPS) and time.monotonic() < deadline:
            time.sleep(0.1)
        outage(lab, kind.seconds)
        over = time.monotonic()
        watch.wait(lab, _PATIENCE_S)
        watch.stop.set()
        strays = _left_in_memory(lab.url) if work.crops == "shm" else 0
    states = [state for _, state in watch.ended.values()]
    failed, left = len(states) - states.count("succeeded"), work.jobs - len(states)
    with create_engine(store.url).connect() as connection:
        verdicts = connection.execute(select(func.count()).select_from(VERDICTS)).scalar() or 0
    found = [store.verdict(job_id) for job_id in ids]
    same = sum(
        verdict is not None and verdict.canonical_json() == work.expected[n % len(work.expected)]
        for n, verdict in enumerate(found)
    )
    for job_id, verdict in zip(ids, found, strict=True):
        row = store.job(job_id)
        if verdict is None or (row is not None and row.state.value != "succeeded"):
            print(f"  {name}: {row and row.model_dump_json(exclude={'policy'})}", flush=True)
    store.close()
    times = sorted(at for at, _ in watch.ended.values())
    after = [max(0.0, at - over) for at in times]
    p99 = quantile(after, 0.99) if after else float("nan")
    gap = max((b - a for a, b in zip([began, *times], times, strict=False)), default=0.0)
    line = (
        f"{name:18} {over - began:6.0f} s  {work.jobs:4} jobs  {left:3} lost  {failed:3} failed  "
        f"{max(0, verdicts - work.jobs):3} twice  {same:4} same verdict  {strays} crops left  "
        f"after: p99 {p99:5.1f} s  longest standstill {gap:5.1f} s  "
        f"roles ended: {', '.join(lab.ended) or 'none'}"
    )
    recovers = kind.do is not nothing and not isinstance(kind.do, Killing)
    slow = recovers and p99 - undisturbed_s > _RECOVERY_S
    held = not (left or failed or verdicts != work.jobs or same != work.jobs or slow or strays)
    return held, p99, line


def _left_in_memory(url: str) -> int:
    """Files of crops that no sweep has removed in good time."""
    folder, deadline = folder_for(url), time.monotonic() + _SWEPT_S
    while (left := len(list(folder.glob("*")))) and time.monotonic() < deadline:
        time.sleep(1.0)
    return left


def main() -> int:
    """Every kind that was asked for; 0 where all held."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--seconds", type=float, help="of each outage; by default the kind's own")
    parser.add_argument("--only", default=",".join([*KINDS, "killed"]))
    parser.add_argument("--kills", type=int, default=20, help="of the kind `killed`")
    parser.add_argument("--seed", type=int, default=7, help="of who is killed when")
    parser.add_argument("--keep", type=Path, help="leave the workers' logs in this folder")
    parser.add_argument("--crops", choices=("redis", "shm"), default="redis", help="where they lie")
    parser.add_argument("--at-once", type=int, default=1, help="so many kinds side by side")
    given = parser.parse_args()
    logs.configure(Settings(log_level="error"))
    kinds = KINDS | {"killed": Kind(Killing(given.kills, given.jobs, lambda: 0, given.seed))}
    with tempfile.TemporaryDirectory(prefix="outages-") as folder:
        work = _work(Path(folder), given.jobs, given.crops)

        undisturbed_s = 0.0

        def one(name: str) -> tuple[bool, float]:
            kind = kinds[name]
            if given.seconds is not None:
                kind = Kind(**{**vars(kind), "seconds": given.seconds})
            keep = given.keep and given.keep / name
            held, p99, line = run(name, kind, work, keep, undisturbed_s)
            print(f"{'held  ' if held else 'FAILED'} {line}", flush=True)
            return held, p99

        names = given.only.split(",")
        if "none" in names:
            names.remove("none")
            _, undisturbed_s = one("none")
        with ThreadPoolExecutor(given.at_once) as pool:
            results = list(pool.map(one, names))
        return int(not all(held for held, _ in results))


def _work(folder: Path, jobs: int, crops: Literal["redis", "shm"]) -> Work:
    site = folder / "site"
    site.mkdir()
    install_brightness(site)
    sys.path.insert(0, str(site))
    clips = [
        pan(folder / f"{n}.mp4", start=3 * n, brightness=1.0 - 0.5 * n / _CLIPS)
        for n in range(min(_CLIPS, jobs))
    ]
    quiet = Settings(
        face_detector="haar", sample="uniform:8", plugins=(KEY,), data_dir=folder / "d"
    )
    with LocalPipeline(quiet) as pipeline:
        found = [outcome.verdict for outcome in pipeline.judge_all(clips)]
    return Work(site, clips, [v.canonical_json() for v in found if v is not None], jobs, crops)


if __name__ == "__main__":
    sys.exit(main())
