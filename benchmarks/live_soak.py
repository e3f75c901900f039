"""Does a stream that goes on leave anything behind? Memory and descriptors by process, by the minute.

    python benchmarks/live_soak.py --minutes 20

A real clip in a loop comes as MPEG-TS over TCP from an ffmpeg; `unmask watch` judges it with the
shipped weights. The slope is of the last two thirds: engines and caches fill first.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from console.commands.demo_clips import make_clips

_EVERY_S = 10.0
_PARTS = {"live.reader": "reader", "live.decoder": "decoder", "redis-server": "redis"}


def part_of(process: psutil.Process) -> str:
    """Which part of a watched stream a process is."""
    line = " ".join(process.cmdline())
    return next((name for word, name in _PARTS.items() if word in line), "unmask watch")


def sampled(watching: psutil.Process) -> dict[str, tuple[float, int]]:
    """Part -> megabytes of its own (what ending it would free) and descriptors."""
    found: dict[str, tuple[float, int]] = {}
    for process in (watching, *watching.children(recursive=True)):
        try:
            found[part_of(process)] = (process.memory_full_info().uss / 1e6, process.num_fds())
        except psutil.Error:
            continue
    return found


def slope(minutes: list[float], values: list[float]) -> float:
    """Per hour, by least squares over the last two thirds."""
    begin = len(minutes) // 3
    return float(np.polyfit(minutes[begin:], values[begin:], 1)[0] * 60)


def main() -> None:
    """Watch, sample, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=20.0)
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
    if len(rows_of_watch := seen.get("unmask watch", [])) > 12:
        marks = rows_of_watch[:: max(1, len(rows_of_watch) // 12)]
        print("unmask watch, MB: " + ", ".join(f"{m:.0f}:{mb:.0f}" for m, mb, _ in marks))
    print(f"{len(windows)} events in {times[-1]:.1f} minutes")
    print("| process | MB at a third | MB at the end | MB per hour | descriptors | |")
    print("|---|---|---|---|---|---|")
    for part, rows in seen.items():
        minutes = [row[0] for row in rows]
        megabytes = [row[1] for row in rows]
        third = rows[len(rows) // 3]
        print(
            f"| {part} | {third[1]:.1f} | {megabytes[-1]:.1f} | {slope(minutes, megabytes):+.1f} "
            f"| {third[2]} | {rows[-1][2]} |"
        )


if __name__ == "__main__":
    main()
