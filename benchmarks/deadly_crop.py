"""What one crop that kills its scorer each time costs the others: crops per second, with and without.

    python benchmarks/deadly_crop.py --crops 12000 --workers 2

Real scoring processes on one Redis each, at the workers' own pace; a detector on numpy that sleeps
stands in for a network. Both runs go side by side, so that the machine is as busy for either. A dead
process is started again at once, as the supervisor does. Exit code 1 where there is not one dead
letter, a crop of the others is unscored, one of its own group among them, or they kept less than 95 %.
"""

import argparse
import logging
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import structlog
from redis import Redis

from benchmarks.outage_lab import Lab
from detect_plugins.catalogue import load_catalogue
from tests.fakes import DEADLY, KEY, install_brightness
from tests.integration.workers.scoring.test_scoring import publish
from unmask import queues
from unmask.messages import PluginRef
from workers.jobs.dead_letters import dead_letters

_GROUP = 8
_LEVEL, _DEADLY_LEVEL = 100, 200


def run(
    folder: Path, site: Path, ref: PluginRef, crops: int, workers: int, *, deadly: bool
) -> dict:
    """Score so many crops; how long it took, who died, what was left."""
    folder.mkdir()
    lab = Lab(folder, site, folder / "log")
    lab.environment |= {DEADLY: str(_DEADLY_LEVEL / 255)} if deadly else {}
    lab.start_redis()
    jobs = [f"job-{n}" for n in range(crops // _GROUP)]
    levels = {job: [_LEVEL] * _GROUP for job in jobs}
    if deadly:
        levels[jobs[len(jobs) // 4]][3] = _DEADLY_LEVEL

    def send() -> None:
        with Redis.from_url(lab.url) as own:
            for job in jobs:
                publish(own, job, levels[job], plugins=(ref,), group=_GROUP)

    with Redis.from_url(lab.url) as redis:
        for number in range(workers):
            lab.start("score", f"score-{number}")
        sending = threading.Thread(target=send)
        sending.start()
        done: set[str] = set()
        while not done:  # engines are built first
            done = _scored(redis, ref, jobs[:workers])
            lab.start_again()
            time.sleep(0.1)
        began = time.monotonic()
        others = [job for job in jobs if _DEADLY_LEVEL not in levels[job]]
        waiting, since = [job for job in others if job not in done], time.monotonic()
        while waiting and time.monotonic() - since < 300:
            left = len(waiting)
            # In the order in which they were sent: those far behind need not be asked for yet.
            done |= _scored(redis, ref, waiting[:200])
            waiting = [job for job in waiting if job not in done]
            since = since if len(waiting) == left else time.monotonic()
            lab.start_again()
            time.sleep(0.2)
        seconds = time.monotonic() - began
        deadline = time.monotonic() + 300
        while deadly and not dead_letters(redis) and time.monotonic() < deadline:
            lab.start_again()
            time.sleep(0.5)
        letters = dead_letters(redis)
        spared = sum(redis.hlen(queues.scores(job, 0, ref.slug)) for job in set(jobs) - set(others))
    sending.join()
    lab.stop()
    return {
        "per_s": _GROUP * len(others) / seconds,
        "seconds": seconds,
        "unscored": _GROUP * len(waiting) + (_GROUP - 1 - spared if deadly else 0),
        "died": len(lab.ended),
        "letters": len(letters),
    }


def _scored(redis: Redis, ref: PluginRef, jobs: list[str]) -> set[str]:
    with redis.pipeline(transaction=False) as pipe:
        for job in jobs:
            pipe.hlen(queues.scores(job, 0, ref.slug))
        return {job for job, n in zip(jobs, pipe.execute(), strict=True) if n == _GROUP}


def main() -> int:
    """Both runs, and the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=int, default=12_000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="deadly-") as made, ThreadPoolExecutor(2) as pool:
        folder = Path(made)
        site = folder / "site"
        site.mkdir()
        install_brightness(site)
        sys.path.insert(0, str(site))
        ref = load_catalogue().get(KEY).ref(None)
        runs = {
            name: pool.submit(
                run, folder / name, site, ref, given.crops, given.workers, deadly=name == "deadly"
            )
            for name in ("undisturbed", "deadly")
        }
        found = {name: each.result() for name, each in runs.items()}
    for name, each in found.items():
        print(
            f"{name:12} {each['per_s']:6.2f} crops/s of the others over {each['seconds']:.0f} s, "
            f"{each['unscored']} unscored, {each['died']} processes died, "
            f"{each['letters']} dead letters"
        )
    kept = found["deadly"]["per_s"] / found["undisturbed"]["per_s"]
    print(f"kept {kept:.1%}")
    fine = found["deadly"]["letters"] == 1 and not any(each["unscored"] for each in found.values())
    return int(not (fine and kept >= 0.95))


if __name__ == "__main__":
    sys.exit(main())
