"""Where the processor time of the whole way goes, a face: `python benchmarks/stages.py`.

Core-milliseconds by who spends them: the ingest threads (finding, following, cutting, publishing),
the sandboxed decoders, the scoring threads, the verdict thread, the broker. Processor time, not wall
clock, so that the table holds on a machine that does other things too. One clip is judged first, to
leave out what happens once per process.
"""

import argparse
import logging
import os
import resource
import shutil
import tempfile
import threading
from collections import Counter
from pathlib import Path

import decode
import psutil
import structlog

from unmask.settings import Settings
from workers.run.local import LocalPipeline


def spent() -> Counter[str]:
    """Processor seconds so far: by kind of thread, in children that have ended, in the broker."""
    tick = os.sysconf("SC_CLK_TCK")
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    seconds: Counter[str] = Counter()
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        # Threads without a Python name are those of OpenCV, OpenVINO and torch.
        name = names.get(int(task.name), "native").partition("_")[0]
        seconds[name] += (int(fields[11]) + int(fields[12])) / tick
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds["decoders"] = ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        if "redis" in child.name():
            seconds["broker"] += sum(child.cpu_times()[:2])
        elif "ingest.sandbox.template" in child.cmdline():
            seconds["decoders"] += sum(child.cpu_times()[:4])  # with those that it has forked
    return seconds


def measure(videos: list[Path], settings: Settings, plugin: str) -> tuple[Counter[str], int]:
    """Processor seconds by who spent them, and how many faces were scored."""
    with LocalPipeline(settings, (plugin,), allow_untrained=True) as pipeline:
        pipeline.wait_ready()
        list(pipeline.judge_all(videos[:1]))
        before = spent()
        outcomes = list(pipeline.judge_all(videos))
        after = spent()
    after.subtract(before)
    verdicts = [outcome.verdict for outcome in outcomes if outcome.verdict is not None]
    return after, sum(verdict.coverage.faces_scored for verdict in verdicts)


def main() -> None:
    """Print the table, the largest share first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=Path, nargs="*", default=[])
    parser.add_argument("--clips", type=int, default=4, help="made on the spot, 20 s of 720p each")
    parser.add_argument("--plugin", default="sola")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="unmask-stages-") as scratch:
        folder = Path(scratch)
        videos = given.videos
        if not videos:
            first = decode.make_clip(folder / "clip-0.mp4")
            copies = [folder / f"clip-{number}.mp4" for number in range(1, given.clips)]
            videos = [first, *(Path(shutil.copy(first, copy)) for copy in copies)]
        seconds, faces = measure(videos, Settings(data_dir=folder / "data"), given.plugin)
    print(f"{faces} faces\n\n| who | core-ms per face |\n|---|---|")
    for name, value in seconds.most_common():
        if value > 0.0:
            print(f"| {name} | {1000 * value / faces:.1f} |")
    print(f"| all | {1000 * seconds.total() / faces:.1f} |")


if __name__ == "__main__":
    main()
