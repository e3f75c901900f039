"""Fit what makes a verdict of windows: calibration together, correction for length, thresholds.

    python -m research.segments.fit_segments SCORES.jsonl --bundle sola=FOLDER ... \\
        --combinations detect_plugins/combinations.json [--write] > tables.md

SCORES.jsonl is what `research.judging.frame_scores` wrote for these very bundles; nothing is judged here.

1. The calibration of the plugins together, on the clips as ingest cut them, by tracks and long windows.
2. `free_windows`: those of ten seconds of one person, for which nothing is taken off. `per_windows`: by
   how much the worst window of a minute, and of five, of one real person lies above that of ten
   seconds, in logits per ln(windows); of the half who score highest. `short`: how much more the worst
   short window shows than the worst long one, in ten seconds. `free`: two people, a talk or a cut to
   somebody else. `per_tracks`: what keeps as small a share of a minute with another person every eight
   seconds over the policy's threshold as of the clips, in logits per ln(people / free).
   `most`: what an hour with a panel of people needs.
3. Thresholds of the policy: p_fake of real clips, at 5 % and 1 % false alarms.

Then the table: spliced videos (splice_scores.py) of 10 s to an hour, real ones and the same with a
forged stretch in them; cross-fitted, so that nobody is judged by numbers fitted on them. Footage is of
one person throughout with a cut at every joint (`one`), the same without any cut or other hint
(`seamless`), or of another person at every cut (`many`). `--write` puts the fit into the combinations
file and prints the two thresholds for `unmask.policy.DEFAULT`.
"""

import argparse
import json
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from workers.verdicts import combine
from workers.verdicts.aggregate import aggregate
from workers.verdicts.arithmetic.correction import LengthFit
from workers.verdicts.arithmetic.probability import logit
from workers.verdicts.combine import Combination, ShortFit

LENGTHS_S = (10, 60, 600, 3600)
STRETCHES_S = (2, 4, 8, 16)
FOOTAGE = ("seamless", "one", "many")
_NONE = LengthFit(per_tracks=0.0, per_windows=0.0, most=0.0)
#: Nothing comes of short windows.
_LONG_ALONE = ShortFit(slope=1.0, intercept=-50.0)
_SHOT_MS = 8000
#: Of what is fitted to windows of two lengths.
VERSION = "4"
#: A second person must be no place to hide in: for two nothing is taken off, whatever it costs.
_FREE_PEOPLE = 2.0
#: The correction grows no further than for so many people with so many windows each: an hour of a panel.
_MOST_PEOPLE, _MOST_WINDOWS = 12, 120
#: Footage of many people that what is asked of them is fitted to: seconds, and how many of it.
_CROWD_S, _CROWDS = 60, 300
#: Lengths of footage of one real person, for how the worst of it grows beyond the first.
_GROWTH_S = (10, 60, 300)
_PARTS = 4


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

    def judge(
        self,
        parts: Sequence[Part],
        combination: Combination,
        policy: Policy,
        *,
        seamless: bool = False,
    ) -> Verdict:
        """The verdict on these parts in a row."""
        closed, results = joined(parts, self.cards, seamless=seamless)
        return aggregate(closed, results, policy, combinations=[combination])

    def plain(self, slope: float = 1.0, intercept: float = 0.0, **fields: object) -> Combination:
        """A combination of the members, nothing corrected for length."""
        return Combination.model_validate(
            {
                "members": self.members,
                "slope": slope,
                "intercept": intercept,
                "fitted_on": "",
                "version": VERSION,
                "length": _NONE,
                "short": _LONG_ALONE,
                **fields,
            }
        )


def court_of(bundles: Mapping[str, Path]) -> Court:
    """Of these plugins with these weights."""
    cards = {plugin: read_card(path, plugin) for plugin, path in bundles.items()}
    return Court(cards, [f"{plugin}@{card.sha256[:12]}" for plugin, card in cards.items()])


def whole(clip: ScoredClip) -> list[Part]:
    """The clip by itself."""
    return [Part(clip=clip, start_ms=0, length_ms=whole_ms(clip))]


def fit(
    court: Court,
    clips: Sequence[ScoredClip],
    name: str,
    kept: Combination | None = None,
    *,
    crowds: int = _CROWDS,
) -> Fit:
    """All of it, on these clips; of `kept` the calibration and the operating points stay, and the default
    policy does. `crowds`: videos of many people that what is asked of them is fitted to.
    Raises ConfigError where scores point the wrong way."""
    if kept is None:
        own = _calibrated(court, clips, name)
    else:
        own = kept.model_copy(update={"length": _NONE, "short": _LONG_ALONE, "version": VERSION})
    reals = [clip for clip in clips if clip.file.label == 0]
    length, short = _length(court, reals, own, name, crowds)
    combination = own.model_copy(update={"length": length, "short": short})
    if kept is not None:
        return Fit(combination=combination, policy=DEFAULT)
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


def _calibrated(court: Court, clips: Sequence[ScoredClip], name: str) -> Combination:
    plain = court.plain()
    before = [(clip, court.judge(whole(clip), plain, DEFAULT)) for clip in clips]
    judged = [(clip, v.deciding.combined) for clip, v in before if v.deciding is not None]
    calibration = fit_platt(
        [p for _, p in judged], [clip.file.label for clip, _ in judged], fitted_on=name
    )
    return court.plain(calibration.slope, calibration.intercept, fitted_on=name)


def _length(
    court: Court, reals: Sequence[ScoredClip], own: Combination, name: str, crowds: int
) -> tuple[LengthFit, ShortFit]:
    """How the worst grows with the number of windows, with their being short, and with people."""
    rng = random.Random(0)
    judged = [(clip, court.judge(whole(clip), own, DEFAULT).p_fake) for clip in reals]
    alone = sorted(((logit(p), clip) for clip, p in judged if p is not None), key=lambda a: a[0])
    # Those who score high of themselves are the ones that a threshold meets.
    upper = alone[len(alone) // 2 :]
    grown = {seconds: _grown(court, upper, own, seconds, rng) for seconds in _GROWTH_S}
    first, *longer = (grown[seconds] for seconds in _GROWTH_S)
    per_windows = max(
        0.0,
        *(
            rise / math.log(g.windows / first.windows)
            for g in longer
            for rise in (g.long - first.long, g.short - first.short)
        ),
    )
    short = ShortFit(slope=1.0, intercept=-round(max(0.0, first.short - first.long), 3))
    bare = LengthFit(
        per_tracks=0.0, per_windows=round(per_windows, 3), most=99.0, free_windows=first.windows
    )
    judging = own.model_copy(update={"length": bare, "short": short})
    per_tracks = _people(court, reals, judging, rng, crowds)
    hour = per_tracks * math.log(_MOST_PEOPLE / _FREE_PEOPLE)
    hour += per_windows * math.log(_MOST_WINDOWS / first.windows)
    length = LengthFit(
        per_tracks=round(per_tracks, 3),
        per_windows=round(per_windows, 3),
        most=round(hour, 3),
        free=_FREE_PEOPLE,
        free_windows=first.windows,
        fitted_on=name,
    )
    return length, short


def _people(
    court: Court, reals: Sequence[ScoredClip], judging: Combination, rng: random.Random, crowds: int
) -> float:
    """`per_tracks`: what keeps false alarms among many people where a clip's are.

    Of a minute with another person every eight seconds, as large a share as of the clips by themselves
    may reach the policy's threshold.
    """

    def logits(found: Iterable[Verdict]) -> list[float]:
        return [logit(v.p_fake) for v in found if v.p_fake is not None]

    threshold = logit(DEFAULT.suspicious_at)
    alone = logits(court.judge(whole(clip), judging, DEFAULT) for clip in reals)
    alarms = float(np.mean([x >= threshold for x in alone]))
    among = [
        court.judge(footage(reals, _CROWD_S, "many", rng), judging, DEFAULT) for _ in range(crowds)
    ]
    people = float(np.mean([v.correction.people for v in among if v.correction]))
    above = float(np.quantile(logits(among), 1 - alarms)) - threshold
    return max(0.0, above) / math.log(max(people, 2 * _FREE_PEOPLE) / _FREE_PEOPLE)


@dataclass(frozen=True, kw_only=True)
class _Grown:
    """What footage of one length shows beyond the clips that it is made of, in logits, on average."""

    long: float
    short: float
    windows: float
    """Median number."""


def _grown(
    court: Court,
    upper: Sequence[tuple[float, ScoredClip]],
    own: Combination,
    seconds: int,
    rng: random.Random,
) -> _Grown:
    found = []
    bare = own.model_copy(update={"short": None})
    for before, clip in upper:
        verdict = court.judge(
            footage([clip], seconds, "seamless", rng), bare, DEFAULT, seamless=True
        )
        windows = [w for track in verdict.tracks for w in track.windows]
        worst = [
            max((logit(w.p) for w in windows if w.short is short), default=before)
            for short in (False, True)
        ]
        found.append((worst[0] - before, worst[1] - before, max(2, len(windows))))
    return _Grown(
        long=float(np.mean([f[0] for f in found])),
        short=float(np.mean([f[1] for f in found])),
        windows=float(median(f[2] for f in found)),
    )


def footage(
    reals: Sequence[ScoredClip], seconds: int, people: str, rng: random.Random
) -> list[Part]:
    """Real footage of so many seconds: of one person throughout, or (`many`) of another at every cut."""
    parts: list[Part] = []
    one = rng.choice(reals)
    left = seconds * 1000
    while left > 0:
        clip = rng.choice(reals) if people == "many" else one
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
    seamless = people == "seamless"

    def called(verdict: Verdict) -> bool:
        return verdict.p_fake is not None and verdict.p_fake >= fitted.policy.suspicious_at

    # Everybody in turn: of few people a draw would count some twice.
    order = [rng.sample(kind, len(kind)) for kind in (reals, fakes)]
    for number in range(rounds):
        real = order[0][number % len(reals)]
        clean = footage(reals if people == "many" else [real], seconds, people, rng)
        alarm = court.judge(clean, fitted.combination, fitted.policy, seamless=seamless)
        tally.alarms.append(called(alarm))
        for place, length in enumerate(STRETCHES_S):
            fake = order[1][(number + place) % len(fakes)]
            parts, begins = with_stretch(clean, fake, length, rng)
            verdict = court.judge(parts, fitted.combination, fitted.policy, seamless=seamless)
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
    *,
    kept: Combination | None = None,
    crowds: int = _CROWDS,
) -> Iterator[str]:
    """Lines of Markdown: false alarms and stretches found by length; nobody by a fit on them."""
    parts: list[list[ScoredClip]] = [[] for _ in range(_PARTS)]
    for clip in clips:
        parts[_part(clip)].append(clip)
    # Fitted on all people but those judged.
    fits = [
        fit(
            court,
            [c for other in parts if other is not part for c in other],
            name,
            kept,
            crowds=crowds,
        )
        for part in parts
    ]
    heads = " | ".join(f"{s} s found (alone)" for s in STRETCHES_S)
    yield f"| footage | length | videos | false alarms | {heads} |"
    yield "|---|---|---|---|" + "---|" * len(STRETCHES_S)
    for people in FOOTAGE:
        for seconds, count in zip(lengths_s, rounds, strict=True):
            if count < _PARTS:
                continue
            tallies = [
                row(
                    court,
                    fits[number],
                    parts[number],
                    seconds=seconds,
                    people=people,
                    rounds=count // _PARTS,
                )
                for number in range(_PARTS)
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


def _part(clip: ScoredClip) -> int:
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
    parser.add_argument("--unmirrored", action="store_true", help="as with UNMASK_MIRROR_AVERAGE=0")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="the file's calibration and operating points, and the default policy's thresholds; fit "
        "what follows them alone",
    )
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    court = court_of(bundles_of(args.bundle))
    members = court.members
    read = read_scored(args.scores, mirrored=not args.unmirrored)
    clips = [clip for clip in read if clip.scores]
    reals = sum(clip.file.label == 0 for clip in clips)
    how = "" if args.unmirrored else ", averaged over the mirror image"
    name = f"clips of unseen people, as found{how}: {reals} real and {len(clips) - reals} forged"
    known = json.loads(args.combinations.read_text(encoding="utf-8")) if args.combinations else []
    kept = combine.find(members, map(Combination.model_validate, known)) if args.keep else None
    fitted = fit(court, clips, name, kept)
    print(f"{name}\n\n{fitted.combination.model_dump_json(indent=2)}\n")
    print(f"suspicious_at={fitted.policy.suspicious_at}, fake_at={fitted.policy.fake_at}\n")
    if args.write and args.combinations:
        others = [c for c in known if sorted(c["members"]) != sorted(members)]
        found = fitted.combination.model_dump(mode="json")
        args.combinations.write_text(
            json.dumps([*others, found], indent=2) + "\n", encoding="utf-8"
        )
    for line in table(court, clips, name, args.rounds, kept=kept):
        print(line, flush=True)


if __name__ == "__main__":
    main()
