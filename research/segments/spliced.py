"""V2 in truth: long videos with a forged stretch in them, through `unmask scan` itself.

    python -m research.segments.spliced --research-data ../shared/data --work FOLDER \\
        --people same --seconds 60 600 3600 --videos 5 --stretches 2 4 8 16

Real footage of an unseen person, the clip over and over, and one forged stretch at a random place:

- `same`: a forgery of that very footage, which goes on where the footage stopped; key frames come by the
  clock. Nothing in the file and nothing in the picture tells where it begins.
- `one`: a forgery of somebody else, and the person from another moment after every cut.
- `many`: another person at every cut.

Each video is scanned with its stretch and without it, and the stretch is scanned alone. Prints a table by
length: found with an overlapping segment, found alone, false alarms, processor time per second of video
(start-up included). Verdicts stay in FOLDER; a run is taken up where it stopped. Half a minute of one
core per video of a minute. `research.segments.fit_segments` has the same table from frame scores, for
more videos than can be judged.
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
from typing import Any, Literal, NamedTuple, get_args

import av
import cv2
import numpy as np

from research.pools.research_data import DataFile, validation_clips
from trainers.synthetic.codec import REPEATABLE
from unmask.frozen import Frozen
from unmask.plugin import Images

People = Literal["same", "one", "many"]

RATE = 25
SIDE = 320
SHOT_S = 8.0
_LEAST_S = 3.0


class Stretch(Frozen):
    """A piece of a clip, from its beginning again where the clip ends."""

    path: str
    start_s: float
    seconds: float


class Case(NamedTuple):
    """Which video: as in its outcome."""

    round: int
    seconds: int
    stretch_s: int
    what: Literal["forged", "clean", "alone"]


class Outcome(Frozen):
    """What the scan of one made video said."""

    round: int
    seconds: int
    stretch_s: int
    """0 where nothing is forged."""
    what: Literal["forged", "clean", "alone"]
    verdict: str
    p_fake: float | None
    found: bool
    """A segment overlaps the forged stretch."""
    segments_ms: tuple[tuple[int, int], ...] = ()
    forged_ms: tuple[int, int] | None = None
    cpu_s: float


def write_video(
    target: Path, parts: Sequence[Stretch], data: Path, *, by_the_clock: bool = False
) -> None:
    """H.264 at 25 frames per second, every part fitted into one square; a cut between two parts.

    `by_the_clock`: a key frame every two seconds, whatever is shown.
    """
    with av.open(str(target), "w") as made:
        stream = made.add_stream("libx264", rate=RATE)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast", **REPEATABLE}
        if by_the_clock:
            stream.options |= {"g": "50", "keyint_min": "50", "sc_threshold": "0"}
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


def footage(reals: Sequence[DataFile], seconds: int, *, people: People, seed: str) -> list[Stretch]:
    """Real footage of so many seconds: of the first of `reals`, or (`many`) of all of them."""
    if people == "same":
        return [Stretch(path=reals[0].path, start_s=0.0, seconds=seconds)]
    rng = random.Random(seed)
    parts: list[Stretch] = []
    left = float(seconds)
    while left > 0:
        clip = rng.choice(reals) if people == "many" else reals[0]
        length = min(SHOT_S, left)
        parts.append(Stretch(path=clip.path, start_s=rng.uniform(0, _LEAST_S), seconds=length))
        left -= length
    return parts


def with_stretch(
    parts: Sequence[Stretch], forged: str, stretch_s: int, clip_s: float, seed: str
) -> tuple[list[Stretch], int]:
    """The footage with a forged stretch at a random place, and its number among the parts.

    Of one part, which is the clip over and over, the stretch takes the place of as much of it and goes on
    where it stopped; `clip_s` is the length of the clip. Else it stands between two parts.
    """
    rng = random.Random(seed)
    if len(parts) > 1:
        place = rng.randrange(len(parts) + 1)
        made = Stretch(path=forged, start_s=0.0, seconds=stretch_s)
        return [*parts[:place], made, *parts[place:]], place
    (whole,) = parts
    begins = rng.uniform(0.0, whole.seconds - stretch_s)
    ends = begins + stretch_s
    return [
        Stretch(path=whole.path, start_s=0.0, seconds=begins),
        Stretch(path=forged, start_s=begins % clip_s, seconds=stretch_s),
        Stretch(path=whole.path, start_s=ends % clip_s, seconds=whole.seconds - ends),
    ], 1


def bases(files: Sequence[DataFile], people: People) -> list[tuple[DataFile, list[DataFile]]]:
    """Real clips, each with the forgeries that may stand in it, in a fixed order that mixes them."""
    fakes = sorted((f for f in files if f.label == 1), key=lambda f: random.Random(f.path).random())
    reals = [f for f in files if f.label == 0]
    found = [
        (real, [f for f in fakes if people != "same" or f.pair_of == real.path]) for real in reals
    ]
    return sorted(
        ((real, own) for real, own in found if own),
        key=lambda pair: random.Random(pair[0].path).random(),
    )


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
    parts: Sequence[Stretch], data: Path, work: Path, forged: int | None, people: People
) -> dict[str, Any]:
    """Make a video, scan it, delete it. `forged`: which part is."""
    video, lines = work / "video.mp4", work / "line.jsonl"
    write_video(video, parts, data, by_the_clock=people == "same")
    line, spent = scan(video, lines)
    video.unlink()
    begins = sum(part.seconds for part in parts[:forged])
    span = None
    if forged is not None:
        span = (round(1000 * begins), round(1000 * (begins + parts[forged].seconds)))
    segments = [(s["start_ms"], s["end_ms"]) for s in line.get("segments", ())]
    return {
        "verdict": line["verdict"],
        "p_fake": line["p_fake"],
        "found": span is not None and any(a < span[1] and b > span[0] for a, b in segments),
        "segments_ms": segments,
        "forged_ms": span,
        "cpu_s": round(spent, 2),
    }


def table(found: Sequence[Outcome]) -> str:
    """One row per length and stretch."""
    lines = [
        "| length | stretch | videos | found | found alone | false alarms | core-s per second |",
        "|---|---|---|---|---|---|---|",
    ]
    for seconds, stretch_s in sorted({(o.seconds, o.stretch_s) for o in found if o.stretch_s}):

        def of(what: str, seconds: int = seconds, stretch_s: int = stretch_s) -> list[Outcome]:
            return [
                o for o in found if (o.seconds, o.stretch_s, o.what) == (seconds, stretch_s, what)
            ]

        forged, alone, clean = of("forged"), of("alone"), of("clean", stretch_s=0)
        cost = sum(o.cpu_s for o in forged) / max(1, len(forged) * seconds)
        alarms = sum(o.verdict in ("fake", "suspicious") for o in clean)
        lines.append(
            f"| {seconds} s | {stretch_s} s | {len(forged)} | {sum(o.found for o in forged)} "
            f"| {sum(o.found for o in alone)} | {alarms} of {len(clean)} | {cost:.3f} |"
        )
    return "\n".join(lines)


class Run:
    """One run of the command; what was judged is not judged again."""

    def __init__(self, work: Path, data: Path, people: People) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self._work, self._data, self._people = work, data, people
        self._kept = work / f"outcomes-{people}.jsonl"
        lines = self._kept.read_text(encoding="utf-8").splitlines() if self._kept.exists() else []
        self.found = [Outcome.model_validate_json(line) for line in lines]
        self._bases = bases(validation_clips(data), people)

    def round(self, number: int, seconds: int, stretches: Sequence[int]) -> None:
        """One footage: clean, then with a stretch of each length."""
        real, fakes = self._bases[number % len(self._bases)]
        reals = [real, *(other for other, _ in self._bases if other is not real)]
        seed = f"{number} {seconds}"
        clean = footage(reals, seconds, people=self._people, seed=seed)
        self._judge(Case(number, seconds, 0, "clean"), clean, None)
        for place, stretch_s in enumerate(stretches):
            fake = fakes[(number // len(self._bases) + place) % len(fakes)]
            if self._people != "same":
                fake = fakes[(number * len(stretches) + place) % len(fakes)]
            clip_s = length_s(self._data / real.path)
            made, forged = with_stretch(clean, fake.path, stretch_s, clip_s, f"{seed} {stretch_s}")
            self._judge(Case(number, seconds, stretch_s, "forged"), made, forged)
            self._judge(Case(number, seconds, stretch_s, "alone"), [made[forged]], 0)

    def _judge(self, case: Case, parts: Sequence[Stretch], forged: int | None) -> None:
        if any((o.round, o.seconds, o.stretch_s, o.what) == case for o in self.found):
            return
        said = judged(parts, self._data, self._work, forged, self._people)
        outcome = Outcome.model_validate(case._asdict() | said)
        self.found.append(outcome)
        with self._kept.open("a", encoding="utf-8") as out:
            out.write(outcome.model_dump_json() + "\n")
        print(outcome.model_dump_json(), flush=True)


def length_s(path: Path) -> float:
    """Of a clip, one second at least."""
    with av.open(str(path)) as media:
        return max(1.0, (media.duration or 0) / av.time_base)


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
    parser.add_argument("--people", choices=get_args(People), default="same")
    args = parser.parse_args()
    run = Run(args.work, args.research_data, args.people)
    for number in range(args.videos):
        for seconds in args.seconds:
            run.round(number, seconds, args.stretches)
    print(table(run.found))


if __name__ == "__main__":
    main()
