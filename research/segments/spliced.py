"""V2 in truth: long videos with a forged stretch in them, through `unmask scan` itself.

    python -m research.segments.spliced --research-data ../shared/data --work FOLDER \\
        --seconds 60 600 3600 --videos 20 --stretches 2 4 8 16

Real footage of one unseen person per video (the person's clip over and over, from another moment each
time), or of another person at every cut with `--people many`; one forged stretch of an unseen person at
a random place. Each video is scanned with its stretch, without it, and the stretch is scanned alone.
Prints a table by length: found with an overlapping segment, found alone, false alarms, processor time
per second of video (start-up included). Verdicts stay in FOLDER; a run is taken up where it stopped.
`research.segments.fit_segments` has the same table from frame scores, for more videos than can be judged.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from research.pools.research_data import DataFile, validation_clips
from trainers.synthetic.codec import REPEATABLE
from unmask.frozen import Frozen
from unmask.plugin import Images

RATE = 25
SIDE = 320
SHOT_S = 8.0
_LEAST_S = 3.0


class Stretch(Frozen):
    """A piece of a clip, from its beginning again where the clip ends."""

    path: str
    start_s: float
    seconds: float


class Outcome(Frozen):
    """What the scan of one made video said."""

    seconds: int
    stretch_s: int
    what: str
    """forged, clean or alone."""
    verdict: str
    p_fake: float | None
    found: bool
    """A segment overlaps the forged stretch."""
    cpu_s: float


def write_video(target: Path, parts: Sequence[Stretch], data: Path) -> None:
    """H.264 at 25 frames per second, every part fitted into one square; a cut between two parts."""
    with av.open(str(target), "w") as made:
        stream = made.add_stream("libx264", rate=RATE)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast", **REPEATABLE}
        stream.time_base = Fraction(1, RATE)
        for part in parts:
            for picture in _pictures(data / part.path, part):
                made.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        made.mux(stream.encode())


def _pictures(path: Path, part: Stretch) -> Iterator[Images]:
    """The part's frames at RATE, as the clip goes on and on."""
    wanted = round(part.seconds * RATE)
    given, start = 0, part.start_s
    while given < wanted:
        before = given
        for seconds, rgb in _decoded(path):
            # One picture of ours for each tick that has come; slow clips repeat, fast ones skip.
            while given < wanted and seconds >= start + (given - before) / RATE:
                yield _square(rgb)
                given += 1
            if given >= wanted:
                return
        if given == before and start == 0.0:
            return  # nothing can be decoded
        start = 0.0


def _decoded(path: Path) -> Iterator[tuple[float, Images]]:
    with av.open(str(path)) as media:
        first: float | None = None
        for frame in media.decode(video=0):
            time = frame.time or 0.0
            first = time if first is None else first
            yield time - first, np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def _square(rgb: Images) -> Images:
    factor = SIDE / max(rgb.shape[:2])
    size = (max(2, round(rgb.shape[1] * factor)), max(2, round(rgb.shape[0] * factor)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    out = np.zeros((SIDE, SIDE, 3), np.uint8)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    out[top : top + size[1], left : left + size[0]] = small
    return out


def plan(
    reals: Sequence[DataFile],
    fake: DataFile,
    seconds: int,
    stretch_s: int,
    *,
    people: str,
    seed: str,
) -> tuple[list[Stretch], int]:
    """The parts of one video, and which of them is forged."""
    rng = random.Random(seed)
    one = rng.choice(reals)
    parts: list[Stretch] = []
    left = float(seconds)
    while left > 0:
        clip = one if people == "one" else rng.choice(reals)
        length = min(SHOT_S, left)
        parts.append(Stretch(path=clip.path, start_s=rng.uniform(0, _LEAST_S), seconds=length))
        left -= length
    place = rng.randrange(len(parts) + 1)
    parts.insert(place, Stretch(path=fake.path, start_s=0.0, seconds=stretch_s))
    return parts, place


def scan(video: Path, lines: Path) -> tuple[dict[str, Any], float]:
    """The verdict of the installed command, and the processor time it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "console.cli", "scan", video, "--json", lines],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found: dict[str, Any] = json.loads(lines.read_text(encoding="utf-8").splitlines()[0])
    return found, spent


def judged(
    parts: Sequence[Stretch], data: Path, work: Path, forged: tuple[float, float]
) -> dict[str, Any]:
    """Make a video, scan it, delete it."""
    video, lines = work / "video.mp4", work / "line.jsonl"
    write_video(video, parts, data)
    line, spent = scan(video, lines)
    video.unlink()
    overlapping = any(
        s["start_ms"] < 1000 * forged[1] and s["end_ms"] > 1000 * forged[0]
        for s in line.get("segments", ())
    )
    return {
        "verdict": line["verdict"],
        "p_fake": line["p_fake"],
        "found": overlapping,
        "cpu_s": round(spent, 2),
    }


def table(found: Sequence[Outcome]) -> str:
    """One row per length and stretch."""
    lines = [
        "| length | stretch | videos | found | found alone | false alarms | core-s per second |",
        "|---|---|---|---|---|---|---|",
    ]
    for seconds, stretch_s in sorted({(o.seconds, o.stretch_s) for o in found}):
        by_what = {
            what: [
                o for o in found if (o.seconds, o.stretch_s, o.what) == (seconds, stretch_s, what)
            ]
            for what in ("forged", "clean", "alone")
        }
        forged = by_what["forged"]
        cost = sum(o.cpu_s for o in forged) / max(1, len(forged) * (seconds + stretch_s))
        alone = sum(o.found for o in by_what["alone"])
        alarms = sum(o.verdict in ("fake", "suspicious") for o in by_what["clean"])
        lines.append(
            f"| {seconds} s | {stretch_s} s | {len(forged)} | {sum(o.found for o in forged)} | {alone} "
            f"| {alarms} of {len(by_what['clean'])} | {cost:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--research-data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=int, nargs="+", default=[60, 600, 3600])
    parser.add_argument("--stretches", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--videos", type=int, default=5, help="of each length and stretch")
    parser.add_argument("--people", choices=("one", "many"), default="one")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    kept = args.work / f"outcomes-{args.people}.jsonl"
    known = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    found = [Outcome.model_validate_json(line) for line in known]
    done = len(found)
    files = validation_clips(args.research_data)
    reals = [file for file in files if file.label == 0]
    fakes = sorted((f for f in files if f.label == 1), key=lambda f: random.Random(f.path).random())
    number = 0
    with kept.open("a", encoding="utf-8") as out:
        for round_ in range(args.videos):
            for seconds in args.seconds:
                for stretch_s in args.stretches:
                    fake = fakes[(number // 3) % len(fakes)]
                    seed = f"{round_} {seconds} {stretch_s}"
                    parts, place = plan(
                        reals, fake, seconds, stretch_s, people=args.people, seed=seed
                    )
                    begins = sum(part.seconds for part in parts[:place])
                    cases = {
                        "forged": (parts, (begins, begins + stretch_s)),
                        "clean": ([*parts[:place], *parts[place + 1 :]], (-1.0, -1.0)),
                        "alone": ([parts[place]], (0.0, float(stretch_s))),
                    }
                    for what, (video, forged) in cases.items():
                        number += 1
                        if number <= done:
                            continue
                        said = judged(video, args.research_data, args.work, forged)
                        outcome = Outcome.model_validate(
                            {"seconds": seconds, "stretch_s": stretch_s, "what": what, **said}
                        )
                        found.append(outcome)
                        out.write(outcome.model_dump_json() + "\n")
                        out.flush()
                        print(number, outcome.model_dump_json(), flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
