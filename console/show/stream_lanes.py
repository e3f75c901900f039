"""A live stream as a picture: a lane per face, one per what became of the time. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from console.show import wording
from unmask.policy import Policy
from unmask.requests.stream import Accounted, WindowReport

#: Windows shown, the newest last.
SHOWN = 60


@dataclass(frozen=True)
class Cell:
    """One window of one lane."""

    left: float
    """Share of the width, in percent."""
    width: float
    tag: str
    """Suffix of the style class: a label, or inconclusive."""
    title: str


@dataclass(frozen=True)
class Lane:
    """One face, or the time."""

    name: str
    cells: tuple[Cell, ...]


def face_lanes(windows: Sequence[WindowReport], policy: Policy) -> list[Lane]:
    """A lane per face that was seen in `windows`, by track id."""
    cells: dict[int, list[Cell]] = defaultdict(list)
    for window, left, width in _placed(windows):
        for face in window.faces:
            said = wording.probability(face.p_fake)
            tag = policy.label(face.p_fake).value
            title = f"{_when(window)}: {said}, {face.faces} looks"
            cells[face.track_id].append(Cell(left, width, tag, title))
    return [Lane(f"Face {track}", tuple(found)) for track, found in sorted(cells.items())]


def verdict_lane(windows: Sequence[WindowReport]) -> Lane:
    """The rolling verdict."""
    return Lane(
        "Verdict",
        tuple(
            Cell(
                left, width, window.rolling.label.value, f"{_when(window)}: {window.rolling.label}"
            )
            for window, left, width in _placed(windows)
        ),
    )


def time_spent(accounts: Sequence[Accounted]) -> list[tuple[str, int]]:
    """What became of the time, in words and milliseconds; nothing that took none of it.

    >>> time_spent([Accounted(judged_ms=4000, gap_ms={"stalled": 1000})])
    [('judged', 4000), ('gap: stalled', 1000)]
    """
    spent: dict[str, int] = defaultdict(int)
    for told in accounts:
        spent["judged"] += told.judged_ms
        spent["no face"] += told.no_face_ms
        spent["face too small"] += told.too_small_ms
        for reason, ms in told.dropped_ms.items():
            spent[f"dropped: {reason.replace('_', ' ')}"] += ms
        for reason, ms in told.gap_ms.items():
            spent[f"gap: {reason.replace('_', ' ')}"] += ms
    return [(name, ms) for name, ms in spent.items() if ms]


def _placed(windows: Sequence[WindowReport]) -> list[tuple[WindowReport, float, float]]:
    """Each window with its place, in percent of the time shown."""
    if not windows:
        return []
    start, end = windows[0].start_ms, max(windows[-1].end_ms, windows[0].start_ms + 1)
    share = 100.0 / (end - start)
    return [
        (w, round((w.start_ms - start) * share, 3), round((w.end_ms - w.start_ms) * share, 3))
        for w in windows
    ]


def _when(window: WindowReport) -> str:
    return f"{wording.clock(window.start_ms)} to {wording.clock(window.end_ms)}"
