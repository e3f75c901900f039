"""How long until the first verdict: of a fresh `unmask scan`, and of a job on a running `unmask serve`.

    python benchmarks/first_verdict.py [--video CLIP] [--rounds 3] [--only scan|serve]

A clip of 5 s of 720p made on the spot. Engines are built beforehand, as on any machine that has judged
before. `scan` counts from the start of the process to its end. `serve` counts from the submission to
the stored verdict by the server's own clock, workers idle and ready. Least of the rounds, with the
processor time that the scan took, and the load: on cores that are not quiet only that time tells.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from rich.console import Console

from console.client.client import Client
from console.commands.operation.stack import running_stack, until

_SCAN = "from console.cli import main; main()"


def main() -> None:
    """Print one line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("scan", "serve"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        video = given.video or _clip(folder)
        print(f"load {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} cores")
        if given.only != "serve":
            _scanned(video, folder / "scan")
            seconds, core = min(_scanned(video, folder / "scan") for _ in range(given.rounds))
            print(
                f"a fresh `unmask scan`: {seconds:.2f} s of the clock, {core:.2f} s of processors"
            )
        if given.only != "scan":
            with running_stack(folder, None, Console(stderr=True)) as (client, _, _):
                _judged(client, video, 0)
                served = min(_judged(client, video, n + 1) for n in range(given.rounds))
            print(f"a job on a running `unmask serve`: {served:.2f} s")


def _clip(folder: Path) -> Path:
    import decode  # noqa: PLC0415 - its neighbour, found only where this runs as a script

    return decode.make_clip(folder / "clip.mp4", seconds=5)


def _scanned(video: Path, data: Path) -> tuple[float, float]:
    """Seconds of the clock and of processors."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", _SCAN, "scan", str(video)],
        env=os.environ | {"UNMASK_DATA_DIR": str(data), "UNMASK_LOG_LEVEL": "error"},
        stdout=subprocess.DEVNULL,
        check=False,  # a forged clip is exit code 1
    )
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _judged(client: Client, video: Path, number: int) -> float:
    """Seconds from submission to verdict; whatever ran before is over and the next one is ready."""
    time.sleep(3.0)
    job = client.submit(video, external_id=f"first-{number}")["id"]
    if not until(lambda: client.job(job)["job_status"] in {"succeeded", "failed"}, 300.0):
        raise SystemExit("the job did not end within 300 s")
    ended = client.job(job)
    begun, end = (datetime.fromisoformat(ended[name]) for name in ("created_at", "updated_at"))
    return (end - begun).total_seconds()


if __name__ == "__main__":
    main()
