"""The whole way beside a tuned rival script and beside an earlier version, in turns, in one run.

    python benchmarks/rival.py [--clips 4] [--rounds 3] [--before f8f0584] [--finder auto]

The rival is what a good engineer writes in an afternoon, with no product around it: PyAV with
`skip_frame` NONREF, one process for each core with one thread each (on two cores quicker than threads
inside one process), the finder that is in force here, the same crops, the same network in the same
OpenVINO engine, batches of 8, and the mean for a verdict. No sandbox, no tracks, no pictures, no
broker, no database, no record of anything. All contenders judge the same clips, `uniform:32`, each
face one way round.

`--before` names a revision of this repository, which is checked out aside and run with this very
environment; where a shallow clone does not hold it its row is left out. As it stands it is 0.1.0: the
last commit of the day that the changelog gives for it. Wall clock tells what a user sees;
core-ms per face (this process, its children, its Redis) hardly moves when others use the machine too.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_LOOKS, _BATCH = 32, 8
_VERSION_0_1_0 = "f8f0584"


def main() -> None:
    """Print the table; with `--run`, be one of the contenders."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=Path, nargs="*", default=[])
    parser.add_argument("--clips", type=int, default=4, help="made on the spot, 20 s of 720p each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plugin", default="sola")
    parser.add_argument("--finder", default="auto")
    parser.add_argument("--before", default=_VERSION_0_1_0)
    parser.add_argument("--run", choices=("ours", "rival"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        print(json.dumps(_CONTENDERS[given.run](given.videos, given.plugin)))
        return
    with tempfile.TemporaryDirectory(prefix="unmask-rival-") as scratch:
        videos = given.videos or _clips(Path(scratch), given.clips)
        rows = compare(
            videos, given.plugin, given.finder, given.before, given.rounds, Path(scratch)
        )
    print_rows(rows)


def compare(
    videos: list[Path], plugin: str, finder: str, before: str, rounds: int, scratch: Path
) -> dict[str, dict[str, float]]:
    """Best of the rounds for each contender: faces/s, core-ms per face and faces."""
    environment = os.environ | {
        "UNMASK_SAMPLE": f"uniform:{_LOOKS}",
        "UNMASK_MIRROR_AVERAGE": "0",
        "UNMASK_LOG_LEVEL": "error",
        "UNMASK_FACE_DETECTOR": finder,
    }
    with _checked_out(before, scratch) as old:
        trees = {"ours": ("ours", ROOT), "rival": ("rival", ROOT)}
        if old is not None:
            trees[before] = ("ours", old)
        found: dict[str, dict[str, float]] = {}
        for _ in range(rounds):
            for name, (kind, tree) in trees.items():
                command = [sys.executable, __file__, "--run", kind, "--plugin", plugin]
                # An earlier version knows other finders: it takes its own best.
                own = {} if tree == ROOT else {"UNMASK_FACE_DETECTOR": "auto"}
                made = subprocess.run(
                    [*command, "--videos", *map(str, videos)],
                    env=environment
                    | own
                    | {"PYTHONPATH": str(tree), "UNMASK_DATA_DIR": str(scratch / name)},
                    cwd=tree,
                    stdout=subprocess.PIPE,
                    check=True,
                )
                got = json.loads(made.stdout.splitlines()[-1])
                speed = got["faces"] / got["seconds"]
                each = 1000 * got["cpu_seconds"] / got["faces"]
                best = found.get(name, {"faces_per_s": 0.0, "core_ms": float("inf")})
                found[name] = {
                    "faces_per_s": max(speed, best["faces_per_s"]),
                    "core_ms": min(each, best["core_ms"]),
                    "faces": got["faces"],
                }
    return found


def print_rows(rows: dict[str, dict[str, float]]) -> None:
    """One line for each, and ours over the others."""
    print(f"\nload {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} cores\n")
    print("| contender | faces | faces/s | core-ms per face | ours over it, faces/s | by core-ms |")
    print("|---|---|---|---|---|---|")
    ours = rows["ours"]
    for name, row in rows.items():
        print(
            f"| {name} | {row['faces']} | {row['faces_per_s']:.1f} | {row['core_ms']:.1f} "
            f"| {ours['faces_per_s'] / row['faces_per_s']:.2f} | {row['core_ms'] / ours['core_ms']:.2f} |"
        )


def _clips(folder: Path, count: int) -> list[Path]:
    import decode  # noqa: PLC0415 - its neighbour, found only where this runs as a script

    first = decode.make_clip(folder / "clip-0.mp4")
    copies = [folder / f"clip-{number}.mp4" for number in range(1, count)]
    return [first, *(Path(shutil.copy(first, copy)) for copy in copies)]


@contextmanager
def _checked_out(revision: str, scratch: Path) -> Iterator[Path | None]:
    """The repository at `revision`, aside; None where it has none of that name."""
    git = ["git", "-C", str(ROOT)]
    known = subprocess.run(
        [*git, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if known.returncode:
        print(f"no revision {revision} here: only the rival is compared", file=sys.stderr)
        yield None
        return
    tree = scratch / "before"
    subprocess.run(
        [*git, "worktree", "add", "--quiet", "--detach", str(tree), revision], check=True
    )
    try:
        yield tree
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(tree)], check=True)


def _spent() -> float:
    """Processor seconds so far of this process, its children and what they left."""
    import psutil  # noqa: PLC0415

    mine = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    alive = 0.0
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        alive += times.user + times.system + times.children_user + times.children_system
    return mine.ru_utime + mine.ru_stime + ended.ru_utime + ended.ru_stime + alive


def ours(videos: list[Path], plugin: str) -> dict[str, float]:
    """The pipeline of whichever version is on the path, its engine and each thread's finder warm."""
    from unmask.settings import Settings  # noqa: PLC0415

    try:
        from workers.run.local import LocalPipeline  # noqa: PLC0415
    except ModuleNotFoundError:  # 0.1.0 had no rooms
        from workers.local import LocalPipeline  # noqa: PLC0415

    with LocalPipeline(Settings(), (plugin,), allow_untrained=True) as pipeline:
        pipeline.wait_ready()
        list(pipeline.judge_all(videos[: 2 * len(os.sched_getaffinity(0))]))
        cpu, begin = _spent(), time.perf_counter()
        results = list(pipeline.judge_all(videos))
        seconds, cpu = time.perf_counter() - begin, _spent() - cpu
    verdicts = [result.verdict for result in results]
    faces = sum(v.coverage.faces_scored for v in verdicts if v is not None)
    return {"faces": faces, "seconds": seconds, "cpu_seconds": cpu}


def rival(videos: list[Path], plugin: str) -> dict[str, float]:
    """The script, in as many processes as there are cores, each warm before the clock starts."""
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, initializer=_prepare, initargs=(plugin,)) as pool:
        list(pool.map(_judge, [videos[0]] * cores * 2))
        cpu, begin = _spent(), time.perf_counter()
        judged = list(pool.map(_judge, videos))
        seconds, cpu = time.perf_counter() - begin, _spent() - cpu
    return {"faces": sum(n for n, _ in judged), "seconds": seconds, "cpu_seconds": cpu}


_CONTENDERS = {"ours": ours, "rival": rival}
_READY: dict[str, Any] = {}


def _prepare(plugin: str) -> None:
    import cv2  # noqa: PLC0415

    from detect_plugins.catalogue import load_catalogue, load_detector  # noqa: PLC0415
    from ingest.faces import build_face_detector  # noqa: PLC0415
    from unmask.settings import Settings  # noqa: PLC0415
    from workers.engines import best_engine  # noqa: PLC0415

    cv2.setNumThreads(1)
    settings = Settings(threads=1, batch_size=_BATCH)
    detector = load_detector(load_catalogue().get(plugin), settings.weights_dir, "cpu")
    _READY["engine"] = best_engine(detector, device="cpu", settings=settings)[0]
    _READY["finder"] = build_face_detector(settings.face_detector, settings)
    _READY["detector"] = detector


def _judge(video: Path) -> tuple[int, float]:
    """Faces and the mean score of one clip."""
    import numpy as np  # noqa: PLC0415

    from ingest.faces.crops import cut_crop  # noqa: PLC0415

    detector, crops = _READY["detector"], []
    for rgb in _frames(video):
        for face in _READY["finder"].detect(rgb):
            crops.append(cut_crop(rgb, face.box, detector.manifest.crop_scale, 640))
    scores = [
        _READY["engine"].infer(detector.prepare(crops[at : at + _BATCH]).images).p
        for at in range(0, len(crops), _BATCH)
    ]
    return len(crops), float(np.concatenate(scores).mean()) if scores else 0.0


def _frames(video: Path) -> Iterator[Any]:
    import av  # noqa: PLC0415

    with av.open(str(video)) as media:
        stream = media.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.skip_frame = "NONREF"
        length = float(stream.duration * stream.time_base)
        due = [length * n / (_LOOKS - 1) for n in range(_LOOKS)]
        for frame in media.decode(stream):
            if due and frame.time is not None and frame.time >= due[0] - 0.05:
                due.pop(0)
                yield frame.to_ndarray(format="rgb24")


if __name__ == "__main__":
    main()
