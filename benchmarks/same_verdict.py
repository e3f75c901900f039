"""Whether a setting that saves time changes verdicts: the same clips, judged with and without it.

    python benchmarks/same_verdict.py CLIPS --count 40 --change crop_margin=1.25

CLIPS is a folder of videos, searched through; of all of them `--count` are taken at even steps in
order of name, so that the same ones come back (`--skip`: others). Each `--change` is judged by itself
against the settings in force (several in one, joined by commas, together). Printed: the share of equal
labels, how far `p_fake` moved, and the clips that came out otherwise or moved by more than .02. A clip
without a figure on both sides (nobody to judge) counts as equal where both say so.
"""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import structlog

from unmask.settings import Settings, load_settings
from unmask.verdict import Verdict
from workers.run.local import LocalPipeline

_ENDINGS = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".mpg", ".gif"}
_FAR = 0.02


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of one clip."""

    name: str
    labels: tuple[str, str]
    p_fake: tuple[float | None, float | None]

    @property
    def same(self) -> bool:
        """Whether both say the same word."""
        return self.labels[0] == self.labels[1]

    @property
    def moved(self) -> float:
        """Of p_fake; 1 where one of both has none."""
        before, after = self.p_fake
        if before is None or after is None:
            return 0.0 if before is after else 1.0
        return abs(after - before)


def judged(videos: list[Path], settings: Settings) -> list[Verdict | None]:
    """Each clip's verdict, in order."""
    with LocalPipeline(settings) as pipeline:
        return [result.verdict for result in pipeline.judge_all(videos)]


def differences(
    videos: list[Path], before: list[Verdict | None], after: list[Verdict | None]
) -> list[Difference]:
    """Of the clips that both judged."""
    return [
        Difference(
            name=video.name,
            labels=(a.verdict.value, b.verdict.value),
            p_fake=(a.p_fake, b.p_fake),
        )
        for video, a, b in zip(videos, before, after, strict=True)
        if a is not None and b is not None
    ]


def main() -> None:
    """Print a line for each change, then the clips that came out otherwise."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--skip", type=int, default=0, help="clips to leave out before the first")
    parser.add_argument("--change", action="append", required=True)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    everything = sorted(p for p in given.clips.rglob("*") if p.suffix.lower() in _ENDINGS)
    step = max(1, len(everything) // given.count)
    videos = everything[given.skip :: step][: given.count]
    before = judged(videos, Settings())
    print("| change | clips | same verdict | p_fake moved by > .02 | by the median | at most |")
    print("|---|---|---|---|---|---|", flush=True)
    for change in given.change:
        wanted = dict(part.split("=", 1) for part in change.split(","))
        found = differences(videos, before, judged(videos, load_settings(**wanted)))
        moved = sorted(d.moved for d in found)
        print(
            f"| {change} | {len(found)} | {sum(d.same for d in found) / len(found):.3f} "
            f"| {sum(m > _FAR for m in moved)} | {moved[len(moved) // 2]:.3f} | {moved[-1]:.3f} |",
            flush=True,
        )
        for one in found:
            if not one.same or one.moved > _FAR:
                print(f"    {one.name}: {one.labels[0]} -> {one.labels[1]}, {one.p_fake}")


if __name__ == "__main__":
    main()
