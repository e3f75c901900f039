"""Decode speed: ours through the sandbox against the decoder alone, measured in turns on one clip.

    python benchmarks/decode.py [--video PATH] [--rounds N]
    python benchmarks/decode.py --starts           what a decoder costs before it has its video

Figures are frames of the video per second of wall clock, so that a policy that decodes less counts
as faster. The ceiling is PyAV with one thread in this process: every frame decoded, none converted to
RGB, none moved.

`--starts`: processor time, the least of the rounds: a decoder that is forked, locked in and ended,
and a process that only loads what a decoder needs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
from skimage.data import astronaut

from ingest.sandbox.parent import Decoding
from ingest.sandbox.process import DecoderProcess, bounds_for
from ingest.sources import open_source
from unmask.settings import Settings

POLICIES = ("all", "uniform:32", "keyframes")


@dataclass(frozen=True, kw_only=True)
class DecodeSpeed:
    """Frames per second, best of the rounds."""

    policy: str
    frames: int
    ceiling: float
    """Decoder alone, one thread, nothing converted."""
    ours: float
    """Sandbox, sampling, RGB and transfer, process start included."""
    ours_started: float
    """The same without the start of the process."""

    @property
    def ratio(self) -> float:
        """Ours over the ceiling, start included."""
        return self.ours / self.ceiling


def measure(
    video: Path, policy: str = "uniform:32", rounds: int = 3, settings: Settings | None = None
) -> DecodeSpeed:
    """Decode `video` by turns with both; best of `rounds` each."""
    settings = settings or Settings()
    frames = ceiling_frames(video)
    ceiling = ours = started = float("inf")
    for _ in range(rounds):
        ceiling = min(ceiling, _timed(lambda: ceiling_frames(video)))
        begin = time.perf_counter()
        first = begin
        with open_source(video, settings) as source, Decoding(source, policy, settings) as decoding:
            events = decoding.events()
            next(events)
            first = time.perf_counter()
            for _event in events:
                pass
        end = time.perf_counter()
        ours, started = min(ours, end - begin), min(started, end - first)
    return DecodeSpeed(
        policy=policy,
        frames=frames,
        ceiling=frames / ceiling,
        ours=frames / ours,
        ours_started=frames / started,
    )


def ceiling_frames(video: Path) -> int:
    """Decode every frame with one thread and drop it; how many there were."""
    with av.open(str(video)) as media:
        stream = media.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in media.decode(stream))


def make_clip(path: Path, seconds: int = 20, size: tuple[int, int] = (1280, 720)) -> Path:
    """A 30 frames/s H.264 clip: the public-domain astronaut panned over, with grain."""
    width, height = size
    photo = cv2.resize(astronaut(), (width + 200, width + 200), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).integers(0, 12, (height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "21"}
        for number in range(seconds * 30):
            x = round(100 + 99 * np.sin(number / 40))
            still = np.ascontiguousarray(photo[40 : 40 + height, x : x + width])
            pixels = cv2.add(still, np.roll(grain, number * 7, axis=1))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def print_starts(rounds: int) -> None:
    """Core-milliseconds of one decoder, forked and anew."""
    DecoderProcess(bounds_for(Settings())).end()  # the template loads
    template = next(
        p for p in psutil.Process().children() if "ingest.sandbox.template" in p.cmdline()
    )
    each = 20

    def forked() -> float:
        before = sum(template.cpu_times()[:4])
        for _ in range(each):
            process = DecoderProcess(bounds_for(Settings()))
            # Its last word before it has its video: it is locked in and waits.
            while psutil.Process(process.pid).status() != psutil.STATUS_SLEEPING:
                time.sleep(0.001)
            process.end()
        return (sum(template.cpu_times()[:4]) - before) / each

    def anew() -> float:
        code = "from ingest.sandbox import child; child.decode_job.import_everything()"
        before = sum(os.times()[2:4])
        subprocess.run([sys.executable, "-P", "-c", code], check=True)
        return sum(os.times()[2:4]) - before

    print("| a decoder, before it has its video | core-ms |\n|---|---|")
    for name, start in (("forked and locked in", forked), ("loaded anew", anew)):
        print(f"| {name} | {1000 * min(start() for _ in range(rounds)):.1f} |")


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    """Print one table row per policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--starts", action="store_true")
    chosen = parser.parse_args()
    if chosen.starts:
        print_starts(chosen.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        video = chosen.video or make_clip(Path(folder) / "clip.mp4")
        print(
            "| policy | frames | decoder alone, frames/s | ours, frames/s | ratio | after start |"
        )
        print("|---|---|---|---|---|---|")
        for policy in POLICIES:
            speed = measure(video, policy, chosen.rounds)
            row = asdict(speed)
            print(
                f"| {policy} | {row['frames']} | {row['ceiling']:.0f} | {row['ours']:.0f} "
                f"| {speed.ratio:.2f} | {row['ours_started'] / row['ceiling']:.2f} |"
            )


if __name__ == "__main__":
    main()
