"""How long from a frame's arrival to its window's verdict, with the shipped weights.

    python benchmarks/live_latency.py [--minutes 2] [--streams 1] [--height 720]

A real clip, scaled, at 30 frames per second, comes as MPEG-TS over TCP from an ffmpeg per stream;
`unmask watch` judges all of them in one process. Latency is the arrival of a window's first frame to
the window's verdict, so it holds the window itself. What was dropped is said.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import imageio_ffmpeg
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from console.commands.demo_clips import make_clips

_ENCODE = ["-r", "30", "-c:v", "libx264", "-preset", "veryfast", "-g", "60", "-bf", "2"]


def ffmpeg(*arguments: str) -> list[str]:
    """An ffmpeg's command line."""
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "quiet", "-nostdin", *arguments]


def free_port() -> int:
    """A port nobody listens at."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def main() -> None:
    """Send, watch, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--height", type=int, default=720)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        real, _ = make_clips(folder)
        clip, lines = folder / "sent.mp4", folder / "events.jsonl"
        width = args.height * 16 // 9
        shape = f"scale=-2:{args.height},pad={width}:{args.height}:(ow-iw)/2:0"
        subprocess.run(ffmpeg("-i", str(real), "-vf", shape, *_ENCODE, str(clip)), check=True)
        ports = [free_port() for _ in range(args.streams)]
        sending = [
            subprocess.Popen(
                ffmpeg("-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy",
                       "-f", "mpegts", f"tcp://127.0.0.1:{port}?listen=1")
            )
            for port in ports
        ]  # fmt: skip
        subprocess.run(
            [
                sys.executable, "-c", "from console.cli import main; main()", "watch",
                *(f"tcp://127.0.0.1:{port}" for port in ports),
                "--for", str(args.minutes * 60), "--json", str(lines),
            ],
            stdout=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        for process in sending:
            process.kill()
        events = [json.loads(line) for line in lines.read_text().splitlines()]
    windows = [event for event in events if "latency_ms" in event]
    latency = np.array([window["latency_ms"] for window in windows[args.streams :]]) / 1000.0
    lost: Counter[str] = Counter()
    for window in windows:
        lost.update(window["accounted"]["dropped_ms"])
    told = ", ".join(f"{why} {ms / 1000:.1f} s" for why, ms in lost.items()) or "nothing"
    print(
        f"{args.streams} of {args.height}p30, {len(windows)} windows: latency median "
        f"{np.median(latency):.1f} s, p95 {np.percentile(latency, 95):.1f} s, worst "
        f"{latency.max():.1f} s; dropped: {told}"
    )


if __name__ == "__main__":
    main()
