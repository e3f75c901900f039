"""Fit what makes a verdict of windows: calibration together, correction for length, thresholds.

    python -m research.segments.fit_segments SCORES.jsonl --bundle sola=FOLDER ... \\
        --combinations detect_plugins/combinations.json [--write] > tables.md

SCORES.jsonl is what `research.judging.frame_scores` wrote for these very bundles; nothing is judged here.

1. The calibration of the plugins together, on the clips as ingest cut them, windows and all.
2. `per_windows`: by how much the worst window of a minute, and of five, of one real person lies above
   that person's clip, in logits per ln(windows); of the half who score highest. `per_tracks`: the mean
   excess of real people over their median and their third quartile, which is what an exponential tail
   adds per ln(people). `most`: what an hour with a panel of people needs.
3. Thresholds of the policy: p_fake of real clips, at 5 % and 1 % false alarms.

Then the table: spliced videos (splice_scores.py) of 10 s to an hour, real ones and the same with a
forged stretch in them; cross-fitted, so that nobody is judged by numbers fitted on them. `--write` puts
the fit into the combinations file and prints the two thresholds for `unmask.policy.DEFAULT`.
"""

import argparse
import json
import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from research.judging.frame_scores import ScoredClip, bundles_of, read_scored
from research.segments.splice_scores import Cards, Part, joined, whole_ms
from trainers.calibrate import fit_platt, threshold_at_fpr, thresholds
from trainers.evaluation.scores import VideoScore
from unmask.bundle import read_card
from unmask.policy import DEFAULT, Policy
from unmask.verdict import Verdict
from workers.verdicts.aggregate import aggregate
from workers.verdicts.arithmetic.correction import LengthFit
from workers.verdicts.arithmetic.probability import logit
from workers.verdicts.combine import Combination

LENGTHS_S = (10, 60, 600, 3600)
STRETCHES_S = (2, 4, 8, 16)
_NONE = LengthFit(per_tracks=0.0, per_windows=0.0, most=0.0)
_SHOT_MS = 8000
#: The correction grows no further than for so many people with so many windows each: an hour of a panel.
_MOST_PEOPLE, _MOST_WINDOWS = 12, 120
_PARTS = 2


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Everything that is fitted, with the policy that obeys it."""

    combination: Combination
    policy: Policy


class Court:
    """Judges joined clips as the workers do."""

    def __init__(self, cards: Cards, members: Sequence[str]) -> None:
        self.cards = cards
        self.members = tuple(sorted(members))

    def judge(self, parts: Sequence[Part], combination: Combination, policy: Policy) -> Verdict:
        """The verdict on these parts in a row."""
        closed, results = joined(parts, self.cards)
        return aggregate(closed, results, policy, combinations=[combination])

    def plain(self, slope: float = 1.0, intercept: float = 0.0, **fields: object) -> Combination:
        """A combination of the members, nothing corrected for length."""
        return Combination.model_validate(
            {
                "members": self.members,
                "slope": slope,
                "intercept": intercept,
                "fitted_on": "",
                "version": "2",
                "length": _NONE,
                **fields,
            }
        )


def whole(clip: ScoredClip) -> list[Part]:
    """The clip by itself."""
    return [Part(clip=clip, start_ms=0, length_ms=whole_ms(clip))]


def fit(court: Court, clips: Sequence[ScoredClip], name: str) -> Fit:
    """All of it, on these clips. Raises ConfigError where scores point the wrong way."""
    plain = court.plain()
    before = [(clip, court.judge(whole(clip), plain, DEFAULT)) for clip in clips]
    judged = [(clip, v.deciding.combined) for clip, v in before if v.deciding is not None]
    calibration = fit_platt(
        [p for _, p in judged], [clip.file.label for clip, _ in judged], fitted_on=name
    )
    own = court.plain(calibration.slope, calibration.intercept, fitted_on=name)
    reals = [clip for clip in clips if clip.file.label == 0]
    length = _length(court, reals, own, name)
    combination = own.model_copy(update={"length": length})
    videos = [
        VideoScore(
            key=clip.file.path,
            dataset="research",
            method=clip.file.family,
            label=clip.file.label,
            raw=verdict.p_fake,
            quality="found",
            face_px=max(track.median_face_px for track in verdict.tracks),
        )
        for clip in clips
        if (verdict := court.judge(whole(clip), combination, DEFAULT)).p_fake is not None
    ]
    # Of p_fake itself: what the policy's thresholds and conditions are held against.
    combination = combination.model_copy(update={"thresholds": thresholds(videos, None)})
    real_p = [video.raw for video in videos if video.label == 0]
    policy = DEFAULT.model_copy(
        update={
            "suspicious_at": round(threshold_at_fpr(real_p, 0.05) + 5e-4, 3),
            "fake_at": round(threshold_at_fpr(real_p, 0.01) + 5e-4, 3),
        }
    )
    return Fit(combination=combination, policy=policy)


def _length(court: Court, reals: Sequence[ScoredClip], own: Combination, name: str) -> LengthFit:
    """How the worst grows with the number of windows, and with the number of people."""
    rng = random.Random(0)
    alone = [(clip, x) for clip in reals if (x := _worst(court.judge(whole(clip), own, DEFAULT)))]
    # Those who score high of themselves are the ones that a threshold meets.
    alone.sort(key=lambda found: found[1][0])
    upper = alone[len(alone) // 2 :]
    growths = []
    for seconds in (60, 300):
        long = [
            _worst(court.judge(footage([c], seconds, "one", rng), own, DEFAULT)) for c, _ in upper
        ]
        pairs = [(x, a) for x, (_, a) in zip(long, upper, strict=True) if x is not None]
        above = float(np.mean([x[0] - a[0] for x, a in pairs]))
        growths.append(above / math.log(median(x[1] for x, _ in pairs)))
    per_windows = max(0.0, *growths)
    # The tail of an exponential: its mean excess over any point of it.
    logits = np.array([x for _, (x, _) in alone])
    per_tracks = max(
        float(np.mean(logits[logits > point] - point)) for point in np.quantile(logits, (0.5, 0.75))
    )
    hour = per_tracks * math.log(_MOST_PEOPLE) + per_windows * math.log(_MOST_WINDOWS)
    return LengthFit(
        per_tracks=round(per_tracks, 3),
        per_windows=round(per_windows, 3),
        most=round(hour, 3),
        fitted_on=name,
    )


def _worst(verdict: Verdict) -> tuple[float, int] | None:
    """Logit of the worst stretch before any correction, and how many windows there were."""
    if verdict.p_fake is None or verdict.correction is None:
        return None
    return logit(verdict.p_fake), verdict.correction.windows


def footage(
    reals: Sequence[ScoredClip], seconds: int, people: str, rng: random.Random
) -> list[Part]:
    """Real footage of so many seconds: of one person throughout, or of another at every cut."""
    parts: list[Part] = []
    one = rng.choice(reals)
    left = seconds * 1000
    while left > 0:
        clip = one if people == "one" else rng.choice(reals)
        length = min(_SHOT_MS, left)
        span = whole_ms(clip)
        parts.append(Part(clip=clip, start_ms=rng.randrange(span), length_ms=length))
        left -= length
    return parts


def with_stretch(
    parts: Sequence[Part], fake: ScoredClip, seconds: int, rng: random.Random
) -> tuple[list[Part], int]:
    """The footage with a forged stretch before a random part of it, and where it begins, in ms."""
    place = rng.randrange(len(parts) + 1)
    start = rng.randrange(whole_ms(fake))
    forged = Part(clip=fake, start_ms=start, length_ms=1000 * seconds)
    begins = sum(part.length_ms for part in parts[:place])
    return [*parts[:place], forged, *parts[place:]], begins


@dataclass
class Tally:
    """One row of the table."""

    alarms: list[bool]
    found: dict[int, list[bool]]
    alone: dict[int, list[bool]]


def row(
    court: Court,
    fitted: Fit,
    clips: Sequence[ScoredClip],
    *,
    seconds: int,
    people: str,
    rounds: int,
) -> Tally:
    """Spliced videos of one length, judged by numbers fitted on other people."""
    rng = random.Random(f"{seconds} {people}")
    reals = [clip for clip in clips if clip.file.label == 0]
    fakes = [clip for clip in clips if clip.file.label == 1]
    tally = Tally([], defaultdict(list), defaultdict(list))

    def called(verdict: Verdict) -> bool:
        return verdict.p_fake is not None and verdict.p_fake >= fitted.policy.suspicious_at

    for _ in range(rounds):
        clean = footage(reals, seconds, people, rng)
        tally.alarms.append(called(court.judge(clean, fitted.combination, fitted.policy)))
        for length in STRETCHES_S:
            fake = rng.choice(fakes)
            parts, begins = with_stretch(clean, fake, length, rng)
            verdict = court.judge(parts, fitted.combination, fitted.policy)
            tally.found[length].append(
                any(
                    s.start_ms < begins + 1000 * length and s.end_ms > begins
                    for s in verdict.segments
                )
            )
            forged = next(p for p in parts if p.clip is fake)
            tally.alone[length].append(
                called(court.judge([forged], fitted.combination, fitted.policy))
            )
    return tally


def table(
    court: Court,
    clips: Sequence[ScoredClip],
    name: str,
    rounds: Sequence[int],
    lengths_s: Sequence[int] = LENGTHS_S,
) -> Iterator[str]:
    """Lines of Markdown: false alarms and stretches found by length; each half of the people by the other half's fit."""
    halves: list[list[ScoredClip]] = [[] for _ in range(_PARTS)]
    for clip in clips:
        halves[_half(clip)].append(clip)
    fits = [fit(court, half, name) for half in halves]
    heads = " | ".join(f"{s} s found (alone)" for s in STRETCHES_S)
    yield f"| footage | length | videos | false alarms | {heads} |"
    yield "|---|---|---|---|" + "---|" * len(STRETCHES_S)
    for people in ("one", "many"):
        for seconds, count in zip(lengths_s, rounds, strict=True):
            if count < _PARTS:
                continue
            tallies = [
                row(
                    court,
                    fits[1 - half],
                    halves[half],
                    seconds=seconds,
                    people=people,
                    rounds=count // _PARTS,
                )
                for half in range(_PARTS)
            ]
            alarms = [a for t in tallies for a in t.alarms]
            cells = []
            for s in STRETCHES_S:
                found = [f for t in tallies for f in t.found[s]]
                alone = [f for t in tallies for f in t.alone[s]]
                cells.append(f"{np.mean(found):.2f} ({np.mean(alone):.2f})")
            yield (
                f"| {people} | {_length_word(seconds)} | {len(alarms)} | {np.mean(alarms):.3f} | "
                f"{' | '.join(cells)} |"
            )


def _half(clip: ScoredClip) -> int:
    return random.Random("|".join(clip.file.people)).randrange(_PARTS)


def _length_word(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scores", type=Path)
    parser.add_argument("--bundle", action="append", default=[], metavar="PLUGIN=FOLDER")
    parser.add_argument("--combinations", type=Path)
    parser.add_argument("--rounds", type=int, nargs=4, default=(200, 100, 30, 10))
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    cards = {plugin: read_card(path, plugin) for plugin, path in bundles_of(args.bundle).items()}
    members = [f"{plugin}@{card.sha256[:12]}" for plugin, card in cards.items()]
    clips = [clip for clip in read_scored(args.scores) if clip.scores]
    reals = sum(clip.file.label == 0 for clip in clips)
    name = f"clips of unseen people, as found: {reals} real and {len(clips) - reals} forged"
    court = Court(cards, members)
    fitted = fit(court, clips, name)
    print(f"{name}\n\n{fitted.combination.model_dump_json(indent=2)}\n")
    print(f"suspicious_at={fitted.policy.suspicious_at}, fake_at={fitted.policy.fake_at}\n")
    if args.write and args.combinations:
        known = json.loads(args.combinations.read_text(encoding="utf-8"))
        others = [c for c in known if sorted(c["members"]) != sorted(members)]
        found = fitted.combination.model_dump(mode="json")
        args.combinations.write_text(
            json.dumps([*others, found], indent=2) + "\n", encoding="utf-8"
        )
    for line in table(court, clips, name, args.rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
