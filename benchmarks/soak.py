"""Does anything grow? `unmask serve` judges video after video; memory, descriptors, Redis, temp files.

    python benchmarks/soak.py --minutes 60 --every 6

The shipped SOLA weights and real decoding, on clips of two thirds of a second. Memory is what a
process has asked for itself. Two slopes, both over the last two thirds of the time, engines and
caches fill first: least squares over all samples, and over the lowest of each five minutes (the lower
envelope: what is never given back). Exit code 1 where the envelope of a process rises by 1 MB an hour
or more, descriptors grow, a key of Redis that no queue or worker needs has no expiry, or a file is
left.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from redis import Redis
from rich.console import Console

from benchmarks.own_memory import anonymous_mb
from console.client.client import Client
from console.commands.operation import stack
from console.commands.operation.stack import running_stack, until
from ingest.crop_store import folder_for
from tests.integration.workers.clips import pan
from unmask import queues

_LOOK_S = 5.0
_ENVELOPE_MIN = 5.0
#: So many videos under way, at most.
_AT_ONCE = 6
_ROLES = ("ingest", "score", "verdict", "stream", "redis-server")
#: What is there for good: the stream of crops, a number and a mark for each plugin, and RQ's lists, which
#: it tidies itself.
_FOR_GOOD = (
    queues.CROPS,
    queues.OWED,
    queues.SERVED,
    "rq:queues",
    "rq:workers",
    "rq:queue:",
    "rq:wip:",
    "rq:finished:",
    "rq:failed:",
)


def main() -> int:
    """Judge, sample, print; 0 where nothing grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=6.0, help="seconds between two videos")
    parser.add_argument("--videos", type=int, default=100_000, help="at most")
    given = parser.parse_args()
    stack.START_S = 1200.0  # an engine is built first, and a soak may be nice to others
    with tempfile.TemporaryDirectory(prefix="soak-") as made:
        folder = Path(made)
        temporary = folder / "tmp"
        temporary.mkdir()
        os.environ |= {
            "TMPDIR": str(temporary),
            "UNMASK_PLUGINS": '["sola"]',
            "UNMASK_FACE_DETECTOR": "haar",
            "UNMASK_SAMPLE": "uniform:2",
        }
        clips = [pan(folder / f"{n}.mp4", start=3 * n, frames=8) for n in range(8)]
        with running_stack(folder, None, Console(stderr=True)) as (client, server, _):
            soak = Soak(client, server, clips)
            soak.run(given.minutes, given.every, given.videos)
            without = soak.keys_without_expiry()
            crops = folder_for(soak.redis_socket())
            files = [str(p.relative_to(temporary)) for p in temporary.rglob("*") if p.is_file()]
            running = len(files)
            server.terminate()
            psutil.wait_procs([server, *server.children(recursive=True)], timeout=60)
        left = sorted(p.name for p in (*temporary.iterdir(), crops) if p.exists())
    held = soak.told()
    print(f"keys of Redis without expiry: {without or 'none but those of queues and workers'}")
    print(f"temporary files: {running} while it ran, {len(left)} after SIGTERM: {left or 'none'}")
    return int(not (held and not without and not left))


class Soak:
    """One running stack under steady work."""

    def __init__(self, client: Client, server: psutil.Process, clips: list[Path]) -> None:
        self.client, self.server, self.clips = client, server, clips
        self.seen: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
        """Role -> minute, megabytes, descriptors."""
        self.jobs: list[str] = []
        self.states: dict[str, str] = {}

    def run(self, minutes: float, every_s: float, videos: int) -> None:
        """Send at a steady rate, sample all the time, and wait for the last verdict."""
        began = time.monotonic()
        looked = 0.0
        waiting: list[str] = []
        while (now := time.monotonic() - began) < 60 * minutes:
            # A machine that is busy with other things gets fewer, not a queue that grows.
            if len(self.jobs) < min(videos, now / every_s) and len(waiting) < _AT_ONCE:
                clip = self.clips[len(self.jobs) % len(self.clips)]
                self.jobs.append(self.client.submit(clip)["id"])
                waiting.append(self.jobs[-1])
            if now - looked >= _LOOK_S:
                looked = now
                self._look(now / 60)
                waiting = self._unended(waiting)
            time.sleep(0.1)
        until(lambda: not self._unended(waiting), 600)

    def _unended(self, jobs: list[str]) -> list[str]:
        """Those still under way."""
        self.states |= {job: self.client.job(job)["job_status"] for job in jobs}
        return [job for job in jobs if self.states[job] in ("queued", "running")]

    def _look(self, minute: float) -> None:
        for role, process in self._processes().items():
            try:
                megabytes, handles = anonymous_mb(process.pid), process.num_fds()
            except (psutil.Error, OSError):
                continue
            self.seen[role].append((minute, megabytes, handles))

    def _processes(self) -> dict[str, psutil.Process]:
        """The processes that live for years; those of a single job come and go."""
        found = {"API": self.server}
        for child in self.server.children(recursive=True):
            try:
                line = child.cmdline()
            except psutil.Error:
                continue
            role = next((r for r in _ROLES if r in line or (line and r in line[0])), None)
            is_long = line and ("workers.run.roles" in line or "redis-server" in line[0])
            if role and is_long:
                found[role] = child
        return found

    def redis_socket(self) -> str:
        """Where the stack's own Redis listens."""
        words = " ".join(self._processes()["redis-server"].cmdline()).split()
        [socket] = [word for word in words if word.startswith("unixsocket:")]
        return socket.partition(":")[2]

    def keys_without_expiry(self) -> list[str]:
        """Keys of jobs that are over and would stay for ever; digits are left out, they repeat."""
        with Redis(unix_socket_path=self.redis_socket()) as redis:
            names = [key.decode() for key in redis.scan_iter(count=1000) if redis.ttl(key) == -1]
        return sorted(name for name in names if not name.startswith(_FOR_GOOD))

    def told(self) -> bool:
        """Print the table; whether all was flat."""
        ended = Counter(self.states.values())
        print(f"{len(self.jobs)} videos: {dict(ended)}; load average {os.getloadavg()[0]:.1f}")
        print(
            "| process | MB at a third | at the end | least squares, MB/h | envelope, MB/h | fds |"
        )
        print("|---|---|---|---|---|---|")
        held = set(ended) == {"succeeded"}
        for role, rows in self.seen.items():
            minutes, megabytes, handles = (np.array(part) for part in zip(*rows, strict=True))
            late = minutes >= minutes[-1] / 3
            lowest = _envelope(minutes[late], megabytes[late])
            rise = _slope(*lowest)
            print(
                f"| {role} | {megabytes[late][0]:.1f} | {megabytes[-1]:.1f} "
                f"| {_slope(minutes[late], megabytes[late]):+.2f} | {rise:+.2f} "
                f"| {int(handles[late][0])} to {int(handles[-1])}, at most {int(handles.max())} |"
            )
            held &= rise < 1.0 and handles[-1] <= handles[late].max()
        return bool(held)


def _slope(minutes: "np.ndarray", values: "np.ndarray") -> float:
    return float(np.polyfit(minutes, values, 1)[0] * 60) if len(minutes) > 1 else float("nan")


def _envelope(minutes: "np.ndarray", values: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
    at = [
        part[np.argmin(values[part])]
        for begin in np.arange(minutes[0], minutes[-1], _ENVELOPE_MIN)
        if len(part := np.flatnonzero((minutes >= begin) & (minutes < begin + _ENVELOPE_MIN)))
    ]
    return minutes[at], values[at]


if __name__ == "__main__":
    sys.exit(main())
