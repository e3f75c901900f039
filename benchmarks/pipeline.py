"""The whole way against its ceilings, side by side in one run: `make bench`.

    python benchmarks/pipeline.py                  clips made on the spot, the shipped weights
    python benchmarks/pipeline.py --videos A B     your own clips
    python benchmarks/pipeline.py --quick          fewer rounds, shorter clips

Three tables: decoding against the decoder alone; every engine against tuned eager torch, for the
shipped weights and for SOLA's `fast` preset at full size; the pipeline from file to verdict against
min(decode ceiling x sampled share x faces per frame, model ceiling). Ratios hold on a busy machine,
absolute figures do not.

Each of those two ceilings has all cores to itself, and finding faces belongs to neither. The stages of
one machine share its cores: what a second allows is one over the sum of what decoding, finding and
the network each take of it. The ratio to that is what the pipeline itself loses: starting processes,
moving pixels, following and cutting, Redis, pictures, and waiting.
"""

import argparse
import json
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import decode
import engines as engine_table
import finding
import structlog
from ceilings import shared
from random_bundles import write_random

from detect_plugins.catalogue import load_catalogue
from unmask.settings import Settings
from workers.engines.machine import cpu_has_bf16, cpu_name
from workers.run.local import LocalPipeline

ENGINES = ["torch-fp32", "torch-fp32-default-malloc", "onnxruntime-fp32", "openvino-fp32"]


def print_engines(title: str, plugin: str, rounds: int, cache: Path, threads: int) -> float:
    """Print one table; the best faces/s among the engines that pass the gate."""
    names = [*ENGINES, *(["openvino-bf16"] if cpu_has_bf16() else [])]
    rows = list(engine_table.measure(plugin, names, 8, rounds, cache, threads))
    print(
        f"\n## {title}, batch 8\n\n| engine | faces/s | over tuned eager | gate |\n|---|---|---|---|"
    )
    for row in rows:
        if "problem" in row:
            print(f"| {row['engine']} | | | {row['problem']} |")
            continue
        gate = "pass" if row["passed"] else "FAIL"
        print(f"| {row['engine']} | {row['faces_per_s']:.1f} | {row['over_eager']:.2f} | {gate} |")
    return max(row["faces_per_s"] for row in rows if row.get("passed"))


def end_to_end(videos: list[Path], settings: Settings, plugin: str) -> dict[str, Any]:
    """Judge all `videos` once the engine and each thread's finder are warm."""
    with LocalPipeline(settings, (plugin,), allow_untrained=True) as pipeline:
        pipeline.wait_ready()
        list(pipeline.judge_all(videos[: 2 * len(os.sched_getaffinity(0))]))
        begin = time.perf_counter()
        outcomes = list(pipeline.judge_all(videos))
        seconds = time.perf_counter() - begin
        engine = pipeline.engines[plugin]
    verdicts = [o.verdict for o in outcomes if o.verdict is not None]
    if len(verdicts) != len(videos):
        raise SystemExit(
            f"{len(videos) - len(verdicts)} clips were not judged; nothing to measure."
        )
    return {
        "seconds": seconds,
        "engine": engine,
        "detector": verdicts[0].face_detector,
        "faces": sum(v.coverage.faces_scored for v in verdicts),
        "sampled": sum(v.coverage.sampled for v in verdicts),
    }


def main() -> None:
    """Measure and print; `--out` also writes the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=Path, nargs="*", default=[])
    parser.add_argument("--clips", type=int, default=8, help="made on the spot, 20 s of 720p each")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--plugin", default="sola")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rounds, clips = (3, 4) if given.quick else (given.rounds, given.clips)
    threads = len(os.sched_getaffinity(0))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(
        f"# Pipeline against its ceilings\n\n{cpu_name()}, {threads} threads, load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory(prefix="unmask-bench-") as scratch:
        folder = Path(scratch)
        videos = given.videos
        if not videos:
            first = decode.make_clip(folder / "clip-0.mp4")
            copies = [folder / f"clip-{number}.mp4" for number in range(1, clips)]
            videos = [first, *(shutil.copy(first, copy) for copy in copies)]
        speed = decode.measure(Path(videos[0]), "uniform:32", rounds=3)
        print(
            "\n## Decoding, uniform:32\n\n| decoder alone, frames/s | ours | ratio |\n|---|---|---|"
        )
        print(f"| {speed.ceiling:.0f} | {speed.ours:.0f} | {speed.ratio:.2f} |")

        settings = Settings(data_dir=folder / "data", sample="uniform:32")  # as every stage here
        trained = load_catalogue().get(given.plugin).is_trained(settings.weights_dir)
        title = f"{given.plugin}, {'shipped' if trained else 'random'} weights"
        model = print_engines(title, given.plugin, rounds, folder / "cache", threads)
        os.environ["UNMASK_WEIGHTS_DIR"] = str(write_random(folder / "random"))
        print_engines(
            "SOLA fast, 256 px, full width", "sola", rounds, folder / "cache-fast", threads
        )
        del os.environ["UNMASK_WEIGHTS_DIR"]

        run = end_to_end([Path(video) for video in videos], settings, given.plugin)
        reached = run["faces"] / run["seconds"]
        decoding = speed.ceiling * threads * run["faces"] / (speed.frames * len(videos))
        ceiling = min(decoding, model)
        print(f"\n## File to verdict, {len(videos)} clips, {run['engine']}, {run['detector']}\n")
        print("| faces/s | decode ceiling | model ceiling | of the lower |\n|---|---|---|---|")
        print(f"| {reached:.1f} | {decoding:.1f} | {model:.1f} | {reached / ceiling:.2f} |")

        found = finding.measure(Path(videos[0]), "uniform:32", settings=settings)
        faces = found.faces_per_core_s * threads
        together = shared(decoding, faces, model)
        print("\n### The same cores for every stage, core-ms per face\n")
        print("| decoding | finding faces | network | shared ceiling, faces/s | of it |")
        print("|---|---|---|---|---|")
        each = " | ".join(f"{1000 * threads / rate:.1f}" for rate in (decoding, faces, model))
        print(f"| {each} | {together:.1f} | {reached / together:.2f} |")
        if given.out:
            figures = {"model": model, "decoding": decoding, "finding": faces, "shared": together}
            figures |= {"reached": reached, **run}
            given.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
