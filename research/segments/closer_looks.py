"""Whether more looks at two seconds would tell more than the usual ones.

    python -m research.segments.closer_looks SCORES.jsonl

SCORES.jsonl is what `research.judging.frame_scores` wrote. Of every clip, each stretch of two seconds is
judged by the seven looks that the default policy takes of it and by all that there are (five to eight
per second), both without any correction. Prints how far the worst stretch lies above the whole clip, and
what share of the forged clips lies above what the same share of the real ones reaches: by the worst
stretch either way, and by the whole clip.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ingest.decoding.sampling import evenly
from research.judging.frame_scores import ScoredClip, bundles_of, read_scored
from research.segments.fit_segments import Court, court_of, whole
from unmask.policy import DEFAULT
from workers.verdicts import combine
from workers.verdicts.arithmetic.probability import logit

_SPAN_MS, _STEP_MS, _FEW = 2000, 500, 7
_FALSE_ALARMS = 0.1


class Row(NamedTuple):
    """Of one clip, in logits."""

    label: int
    whole: float
    few: float
    """Its worst two seconds, by few looks."""
    every: float
    """By all of them."""
    apart: float
    """How far the two are apart, on average over its stretches."""


def row_of(court: Court, combination: combine.Combination, clip: ScoredClip) -> Row | None:
    """None where too little of it was looked at."""
    times = sorted({score.crop.pts_ms for score in clip.scores})

    def judged(kept: Sequence[int]) -> float | None:
        scores = [s for s in clip.scores if s.crop.pts_ms in set(kept)]
        part = clip.model_copy(update={"scores": scores})
        p = court.judge(whole(part), combination, DEFAULT).p_fake
        return None if p is None else logit(p)

    pairs: list[tuple[float, float]] = []
    for start in (
        range(times[0], max(times[0], times[-1] - _SPAN_MS) + 1, _STEP_MS) if times else ()
    ):
        looks = [at for at in times if start <= at <= start + _SPAN_MS]
        if len(looks) > _FEW:
            usual, close = judged([looks[i] for i in evenly(looks, _FEW)]), judged(looks)
            if usual is not None and close is not None:
                pairs.append((usual, close))
    all_of_it = judged(times)
    if not pairs or all_of_it is None:
        return None
    found = np.array(pairs)
    few, every = (float(worst) for worst in found.max(axis=0))
    apart = float(np.abs(found[:, 0] - found[:, 1]).mean())
    return Row(clip.file.label, all_of_it, few, every, apart)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scores", type=Path)
    args = parser.parse_args()
    court = court_of(bundles_of([]))
    calibration = combine.find(court.members, combine.shipped())
    plain = court.plain(calibration.slope, calibration.intercept) if calibration else court.plain()
    found = [row for clip in read_scored(args.scores) if (row := row_of(court, plain, clip))]
    rows = {label: np.array([r for r in found if r.label == label]) for label in (0, 1)}
    columns = {"the whole clip": 1, "its worst 2 s, few looks": 2, "all looks": 3}
    print("| by | real clips, above the whole | forged | forged found |\n|---|---|---|---|")
    for name, column in columns.items():
        limit = np.quantile(rows[0][:, column], 1.0 - _FALSE_ALARMS)
        above = [f"{(rows[k][:, column] - rows[k][:, 1]).mean():.2f}" for k in (0, 1)]
        print(f"| {name} | {' | '.join(above)} | {(rows[1][:, column] > limit).mean():.2f} |")
    apart = np.concatenate([rows[0][:, 4], rows[1][:, 4]]).mean()
    print(f"\n{len(rows[0])} real, {len(rows[1])} forged; few and all are {apart:.2f} apart")


if __name__ == "__main__":
    main()
