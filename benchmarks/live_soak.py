"""Does a stream that goes on leave anything behind? Memory and descriptors by process, by the minute.

    python benchmarks/live_soak.py --minutes 60 --every 1

A real clip in a loop comes as MPEG-TS over TCP from an ffmpeg; `unmask watch` judges it with the
shipped weights. The slopes are of the last two thirds: engines and caches fill first. What waits to
be scored comes and goes, on a busy machine by tens of megabytes: with few looks nothing waits. The floor,
the least of every three minutes, is what is kept.
"""

import argparse
import json
import math
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.own_memory import anonymous_mb
from console.commands.demo_clips import make_clips

_EVERY_S = 5.0
_FLOOR_MINUTES = 3.0
_PARTS = {"live.reader": "reader", "live.decoder": "decoder", "redis-server": "redis"}


def part_of(process: psutil.Process) -> str:
    """Which part of a watched stream a process is."""
    line = " ".join(process.cmdline())
    return next((name for word, name in _PARTS.items() if word in line), "unmask watch")


def sampled(watching: psutil.Process) -> dict[str, tuple[float, int]]:
    """Part -> megabytes that it has asked for itself, and descriptors."""
    found: dict[str, tuple[float, int]] = {}
    for process in (watching, *watching.children(recursive=True)):
        try:
            found[part_of(process)] = (anonymous_mb(process.pid), process.num_fds())
        except (psutil.Error, OSError):
            continue
    return found


def slope(minutes: Sequence[float], values: Sequence[float]) -> float:
    """Per hour, by least squares; NaN for less than two points."""
    return float(np.polyfit(minutes, values, 1)[0] * 60) if len(minutes) > 1 else math.nan


def floor(minutes: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """When and what the least of every three minutes was."""
    least: dict[int, tuple[float, float]] = {}
    for minute, value in zip(minutes, values, strict=True):
        part = int(minute // _FLOOR_MINUTES)
        least[part] = min(least.get(part, (value, minute)), (value, minute))
    return [minute for _, minute in least.values()], [value for value, _ in least.values()]


def main() -> None:
    """Watch, sample, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--every", type=float, default=1 / 3, help="seconds between two looks")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port = asked.getsockname()[1]
        asked.close()
        real, _ = make_clips(Path(folder))
        sending = subprocess.Popen(
            [
                imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-nostdin", "-re",
                "-stream_loop", "-1", "-i", str(real), "-c", "copy", "-f", "mpegts",
                f"tcp://127.0.0.1:{port}?listen=1",
            ]
        )  # fmt: skip
        lines = Path(folder) / "events.jsonl"
        watching = psutil.Popen(
            [
                sys.executable, "-c", "from console.cli import main; main()",
                "watch", f"tcp://127.0.0.1:{port}", "--for", str(args.minutes * 60),
                "--every", str(args.every),
                "--json", str(lines),
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        began, times = time.monotonic(), list[float]()
        seen: dict[str, list[tuple[float, float, int]]] = {}
        while watching.poll() is None:
            minute = (time.monotonic() - began) / 60
            for part, (megabytes, descriptors) in sampled(watching).items():
                seen.setdefault(part, []).append((minute, megabytes, descriptors))
            times.append(minute)
            time.sleep(_EVERY_S)
        sending.kill()
        windows = [json.loads(line) for line in lines.read_text().splitlines()]
    print(f"{len(windows)} events in {times[-1]:.1f} minutes")
    print("| process | MB, least of every three minutes | MB per hour: floor | all | descriptors |")
    print("|---|---|---|---|---|")
    for part, rows in seen.items():
        # The final verdict and the end of the process are not what goes on.
        steady = [row for row in rows[len(rows) // 3 :] if row[0] < args.minutes - 0.5]
        if not steady:
            continue
        minutes, megabytes, descriptors = zip(*steady, strict=True)
        at, least = floor(minutes, megabytes)
        shown = ", ".join(f"{mb:.1f}" for mb in least)
        print(
            f"| {part} | {shown} | {slope(at, least):+.1f} | {slope(minutes, megabytes):+.1f} "
            f"| {descriptors[0]} to {descriptors[-1]} |"
        )


if __name__ == "__main__":
    main()
