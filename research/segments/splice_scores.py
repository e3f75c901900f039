"""Long videos put together from judged clips, without a picture: what the workers would have been told.

Each part is one shot with the looks that the sampling policy would have spent on it; its times, frames,
tracks and persons are moved on; and between two parts there is a cut. What comes out goes through the
workers' own aggregation. So a thousand hours cost a minute, and anything that follows scores can be
fitted and tried on them. `research.segments.spliced` makes such videos in truth, fewer of them.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ingest.decoding.sampling import LEAST_LOOKS, LOOKS_PER_SECOND, SHOT_LOOKS, evenly
from research.judging.frame_scores import ScoredClip
from unmask.bundle import BundleCard
from unmask.messages import FaceScore, IngestClosed, TrackSummary
from workers.verdicts.plugin_verdict import PluginScores

Cards = dict[str, BundleCard]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of a clip: from `start_ms` on for `length_ms`, over the end and from its beginning."""

    clip: ScoredClip
    start_ms: int
    length_ms: int


def seconds_of(clip: ScoredClip) -> float:
    """Length of a clip."""
    media = clip.closed.media
    return (media.duration_ms or 0) / 1000.0 if media else 0.0


def whole_ms(clip: ScoredClip) -> int:
    """The same in milliseconds, at least 1."""
    return max(1, round(1000 * seconds_of(clip)))


def joined(
    parts: Sequence[Part], cards: Cards, *, seamless: bool = False
) -> tuple[IngestClosed, tuple[PluginScores, ...]]:
    """One video of these parts in order: ingest's closing message, and every plugin's scores.

    `seamless`: nothing tells of a joint. There is one track, of each part's longest, and no cut: so a
    forged stretch of the very same footage comes.
    """
    alone = len(parts) == 1
    if alone and parts[0].start_ms == 0 and parts[0].length_ms == whole_ms(parts[0].clip):
        return parts[0].clip.closed, _results(_as_looked_at(parts[0].clip), cards)
    at_ms, next_track, next_frame = 0, 1, 0
    scores: list[FaceScore] = []
    cuts: list[int] = []
    persons: dict[str, int] = {}
    person_of: dict[int, int] = {}
    for part in parts:
        if at_ms and not seamless:
            cuts.append(at_ms)
        looks = _looks(part.length_ms, LEAST_LOOKS if alone else 0 if seamless else SHOT_LOOKS)
        who = "" if seamless else "|".join(part.clip.file.people)
        person = persons.setdefault(who, len(persons) + 1)
        moved = _moved(part, looks, at_ms, next_track, next_frame)
        if seamless:
            moved = _one_track(moved)
        scores += moved
        for track in {s.crop.track_id for s in moved}:
            person_of[track] = person
        next_track = max([next_track, *(s.crop.track_id + 1 for s in moved)])
        next_frame += looks
        at_ms += part.length_ms
    return _closed(parts[0].clip, scores, cuts, at_ms, person_of), _results(scores, cards)


def _looks(length_ms: int, least: int) -> int:
    return max(least, math.ceil(length_ms * LOOKS_PER_SECOND / 1000))


def _as_looked_at(clip: ScoredClip) -> list[FaceScore]:
    """Of a clip that was looked at more closely, the scores at the looks that the default policy takes."""
    known = sorted({s.crop.pts_ms for s in clip.scores})
    kept = {known[i] for i in evenly(known, _looks(whole_ms(clip), LEAST_LOOKS))}
    return [s for s in clip.scores if s.crop.pts_ms in kept]


def _one_track(scores: Sequence[FaceScore]) -> list[FaceScore]:
    """Those of the longest track, as the only one."""
    faces = Counter(s.crop.track_id for s in scores)
    longest = max(faces, key=lambda track: (faces[track], -track), default=0)
    return [
        s.model_copy(update={"crop": s.crop.model_copy(update={"track_id": 1})})
        for s in scores
        if s.crop.track_id == longest
    ]


def _moved(
    part: Part, looks: int, at_ms: int, first_track: int, first_frame: int
) -> list[FaceScore]:
    """The scores of a part, at the looks that fall to it, as the joined video knows them."""
    span = whole_ms(part.clip)
    wanted: list[tuple[int, int]] = []  # (time in the part, look of the clip)
    known = sorted({s.crop.pts_ms for s in part.clip.scores})
    if not known:
        return []
    for number in range(looks):
        inside = round(part.length_ms * (number + 0.5) / looks)
        source = (part.start_ms + inside) % span
        look = known[nearest(known, source)]
        if not wanted or wanted[-1][1] != look:
            wanted.append((at_ms + inside, look))
    by_look: dict[int, list[FaceScore]] = {}
    for score in part.clip.scores:
        by_look.setdefault(score.crop.pts_ms, []).append(score)
    found = []
    for number, (time, look) in enumerate(wanted):
        for score in by_look[look]:
            crop = score.crop.model_copy(
                update={
                    "pts_ms": time,
                    "frame_index": first_frame + number,
                    "track_id": first_track + score.crop.track_id - 1,
                }
            )
            found.append(score.model_copy(update={"crop": crop}))
    return found


def nearest(times_ms: Sequence[int], at_ms: float) -> int:
    """Index of the time nearest to `at_ms`; `times_ms` ascending.

    >>> nearest([0, 100, 200], 140)
    1
    """
    return min(range(len(times_ms)), key=lambda i: abs(times_ms[i] - at_ms))


def _closed(
    first: ScoredClip,
    scores: Sequence[FaceScore],
    cuts: Sequence[int],
    length_ms: int,
    person_of: dict[int, int],
) -> IngestClosed:
    places: dict[int, dict[int, float]] = {}
    for score in scores:
        places.setdefault(score.crop.track_id, {})[score.crop.pts_ms] = score.crop.face_px
    media = first.closed.media
    assert media is not None  # noqa: S101 - clips without a verdict are not kept
    return first.closed.model_copy(
        update={
            "media": media.model_copy(update={"duration_ms": length_ms}),
            "crops": len({s.crop.key for s in scores}),
            "cuts_ms": tuple(cuts),
            "notes": (),
            "tracks": tuple(
                TrackSummary(
                    id=track,
                    segments_ms=((min(seen), max(seen)),),
                    faces=len(seen),
                    crops=len(seen),
                    median_face_px=median(seen.values()),
                    person=person_of.get(track),
                )
                for track, seen in sorted(places.items())
            ),
        }
    )


def _results(scores: Sequence[FaceScore], cards: Cards) -> tuple[PluginScores, ...]:
    refs = sorted({s.plugin for s in scores}, key=lambda ref: ref.slug)
    return tuple(
        PluginScores(
            ref=ref,
            version="",
            card=cards[ref.key],
            asked=True,
            scores=tuple(s for s in scores if s.plugin == ref),
        )
        for ref in refs
    )
