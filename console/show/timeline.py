"""The timeline of a verdict as a drawing: one lane per person, plain numbers for an inline SVG.

Everything in a lane is on one scale, the calibrated p of a window by itself. The thresholds are drawn at
what one window must reach in this video: the more windows were looked at, the higher.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from unmask.verdict import Evidence, FramePoint, TrackVerdict, Verdict, Window
from workers.verdicts.arithmetic.probability import logit, sigmoid

WIDTH = 920
LANE_HEIGHT = 84
#: With many faces the lanes get lower, so that the page stays one that a person scrolls through.
CROWDED, CROWDED_LANE_HEIGHT = 6, 44
LANE_GAP = 36
LEFT = 44
RIGHT = 12
TOP = 22
AXIS = 26
#: More points than this are drawn as the highest of each column: a peak must never be lost.
MAX_POINTS = 300
#: Over all lanes, so that the page of a long video with many people stays one that loads at once.
MAX_MARKS = 1200
#: More people than this are listed in verdict.json and the table of faces, not drawn.
MAX_LANES = 24
_STEPS_MS = (
    *(100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000),
    *(60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000),
)

_Mark = TypeVar("_Mark", FramePoint, Window)


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One sampled face. Coordinates in SVG units."""

    x: float
    y: float
    p: float
    pts_ms: int
    evidence: int | None
    """1-based number of the evidence picture taken here."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One window: a level line from its first face to its last."""

    x: float
    width: float
    y: float
    p: float
    start_ms: int
    end_ms: int


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One person: the tracks that show the same face, where persons are told apart, else one track."""

    tracks: tuple[TrackVerdict, ...]
    """The strongest first."""
    top: float
    height: float
    bands: tuple[tuple[float, float], ...]
    """(x, width) of each stretch in which the face was on screen."""
    lines: tuple[str, ...]
    """SVG point lists, one per stretch: never joined across a gap. None where windows are drawn."""
    dots: tuple[Dot, ...]
    windows: tuple[Bar, ...]
    segments: tuple[tuple[float, float], ...]
    """(x, width) of each stretch that reaches the threshold for suspicious."""
    thinned: bool

    @property
    def track(self) -> TrackVerdict:
        """The one that the person's score comes from."""
        return self.tracks[0]

    @property
    def name(self) -> str:
        """Who it is, as the tables number them."""
        numbers = ", ".join(str(n) for n in sorted(track.id for track in self.tracks)[:6])
        if len(self.tracks) == 1:
            return f"Face {numbers}"
        more = f" and {len(self.tracks) - 6} more" if len(self.tracks) > 6 else ""
        return f"Person {self.track.person} (faces {numbers}{more})"

    def y(self, p: float) -> float:
        """SVG y of a score."""
        return _y(self.top, self.height, p)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The whole drawing."""

    width: int
    height: int
    left: int
    right: int
    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, int], ...]
    """(x, milliseconds) of the time axis."""
    thresholds: tuple[tuple[str, float], ...]
    """(name, p that one window must reach here), suspicious first."""
    undrawn: int
    """People with scores that found no room."""
    end_ms: int
    """The time at `right`; `left` is 0."""


def draw(verdict: Verdict) -> Timeline:
    """Lay out the verdict's people, the strongest first, those not judged last. Pure."""
    end = _end_ms(verdict)

    def x(ms: int) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(ms, end) / end, 1)

    lanes = []
    people = _people(verdict)
    shown = people[:MAX_LANES]
    most = min(MAX_POINTS, MAX_MARKS // max(1, len(shown)))
    lane_height = LANE_HEIGHT if len(people) <= CROWDED else CROWDED_LANE_HEIGHT
    for row, tracks in enumerate(shown):
        top = TOP + row * (lane_height + LANE_GAP)
        ids = {track.id for track in tracks}
        seen = sorted(point.pts_ms for track in tracks for point in track.timeline)
        points = _highest([p for track in tracks for p in track.timeline], end, most)
        windows = _highest([w for track in tracks for w in track.windows], end, most)
        spans = sorted(span for track in tracks for span in track.segments_ms)
        pictured = _pictured(verdict.evidence, ids)
        dots = [
            Dot(
                x=x(point.pts_ms),
                y=_y(top, lane_height, point.p),
                p=point.p,
                pts_ms=point.pts_ms,
                evidence=pictured.get(point.frame_index),
            )
            for point in points
        ]
        lanes.append(
            Lane(
                tracks=tracks,
                top=top,
                height=lane_height,
                bands=_stretches([(x(a), x(b)) for a, b in spans], 2.0),
                lines=() if windows else _lines(dots, spans),
                dots=tuple(dots),
                windows=tuple(
                    Bar(
                        x=x(w.start_ms),
                        width=max(3.0, round(x(w.end_ms) - x(w.start_ms), 1)),
                        y=_y(top, lane_height, w.p),
                        p=w.p,
                        start_ms=w.start_ms,
                        end_ms=w.end_ms,
                    )
                    for w in windows
                ),
                segments=_stretches(
                    sorted(
                        (x(s.start_ms), x(s.end_ms)) for s in verdict.segments if s.track_id in ids
                    ),
                    3.0,
                ),
                thinned=len(points) < len(seen),
            )
        )
    height = TOP + len(lanes) * (lane_height + LANE_GAP) - LANE_GAP + AXIS
    ticks = tuple((x(ms), ms) for ms in range(0, end + 1, _step(end)))
    return Timeline(
        width=WIDTH,
        height=height,
        left=LEFT,
        right=WIDTH - RIGHT,
        lanes=tuple(lanes),
        ticks=ticks,
        thresholds=needed(verdict),
        undrawn=len(people) - len(lanes),
        end_ms=end,
    )


def _people(verdict: Verdict) -> list[tuple[TrackVerdict, ...]]:
    """Tracks with scores by person, the strongest first, those not judged last."""
    scored = sorted(
        (track for track in verdict.faces() if track.timeline),
        key=lambda track: (track.p_fake is None, -(track.p_fake or 0.0), track.id),
    )
    people: dict[int, list[TrackVerdict]] = {}
    for track in scored:
        people.setdefault(-track.id if track.person is None else track.person, []).append(track)
    return [tuple(tracks) for tracks in people.values()]


def _stretches(
    spans: Sequence[tuple[float, float]], least: float
) -> tuple[tuple[float, float], ...]:
    """(x, width) of spans in ascending order; those that touch on the screen are one.

    >>> _stretches([(0.0, 10.0), (10.4, 20.0), (30.0, 30.1)], 2.0)
    ((0.0, 20.0), (30.0, 2.0))
    """
    joined: list[list[float]] = []
    for start, stop in spans:
        if joined and start - joined[-1][1] < 1.0:
            joined[-1][1] = max(joined[-1][1], stop)
        else:
            joined.append([start, stop])
    return tuple((start, max(least, round(stop - start, 1))) for start, stop in joined)


def needed(verdict: Verdict) -> tuple[tuple[str, float], ...]:
    """What one window must reach for each label, after so many were looked at."""
    shift = verdict.correction.shift if verdict.correction else 0.0
    policy = verdict.policy
    return tuple(
        (name, sigmoid(logit(at) + shift))
        for name, at in (("suspicious", policy.suspicious_at), ("fake", policy.fake_at))
    )


def _highest(items: Sequence[_Mark], end_ms: int, most: int) -> list[_Mark]:
    """In order of time; where there are more than columns, the highest of each column."""
    if len(items) <= most:
        return sorted(items, key=_begins)
    columns: dict[int, _Mark] = {}
    for item in items:
        column = _begins(item) * most // (end_ms + 1)
        if column not in columns or item.p > columns[column].p:
            columns[column] = item
    return [columns[column] for column in sorted(columns)]


def _begins(item: FramePoint | Window) -> int:
    return item.pts_ms if isinstance(item, FramePoint) else item.start_ms


def _end_ms(verdict: Verdict) -> int:
    seen = [stop for track in verdict.tracks for _, stop in track.segments_ms]
    seen += [point.pts_ms for track in verdict.tracks for point in track.timeline]
    return max([verdict.media.duration_ms or 0, *seen, 1])


def _step(end_ms: int) -> int:
    """The smallest round step that leaves at most nine ticks."""
    return next((step for step in _STEPS_MS if end_ms / step <= 8), max(1, end_ms // 8))


def _y(top: float, height: float, p: float) -> float:
    return round(top + height * (1.0 - p), 1)


def _pictured(evidence: Sequence[Evidence], tracks: AbstractSet[int]) -> dict[int, int]:
    """Frame index -> number of the first evidence picture taken on it."""
    numbers: dict[int, int] = {}
    for number, item in enumerate(evidence, start=1):
        if item.track_id in tracks:
            numbers.setdefault(item.frame_index, number)
    return numbers


def _lines(dots: Sequence[Dot], segments: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Points joined within a stretch; a face that left the picture leaves a gap in the line."""

    def stretch(dot: Dot) -> int:
        return next((i for i, (a, b) in enumerate(segments) if a <= dot.pts_ms <= b), -1)

    lines: list[list[Dot]] = [[dots[0]]] if dots else []
    for before, dot in pairwise(dots):
        if stretch(before) == stretch(dot):
            lines[-1].append(dot)
        else:
            lines.append([dot])
    return tuple(" ".join(f"{dot.x},{dot.y}" for dot in line) for line in lines if len(line) > 1)
