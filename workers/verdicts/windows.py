"""Cut a track's faces into windows of a few seconds: named, versioned. Pure.

A window is five seconds of one track within one shot, or as much longer as it takes to hold the faces
that a track needs to be judged. Windows overlap by half, so that no short forgery falls between two.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from unmask.verdict import Named

WINDOWS = Named(name="windows-5s", version="1")
SPAN_MS = 5000
_STEP_MS = SPAN_MS / 2


class Span(NamedTuple):
    """From the first to the last face of a window, both in it."""

    start_ms: int
    end_ms: int


def windows_of(times_ms: Sequence[int], cuts_ms: Sequence[int], least: int) -> tuple[Span, ...]:
    """The windows of a track whose faces were seen at these times, in order of their start.

    `times_ms`: ascending. `cuts_ms`: ascending; a face at a cut belongs to the new shot. `least`: faces
    that a window must hold; a shot with fewer is judged with the one beside it.

    >>> windows_of(range(0, 10_000, 1000), (), 5)
    (Span(start_ms=0, end_ms=4000), Span(start_ms=3000, end_ms=7000), Span(start_ms=5000, end_ms=9000))
    >>> windows_of(range(0, 10_000, 1000), (5000,), 5)
    (Span(start_ms=0, end_ms=4000), Span(start_ms=5000, end_ms=9000))
    """
    bounds = [0]
    for cut in cuts_ms:
        # A shot too short to be judged goes with the next: cuts in a row must not leave nothing to judge.
        if (place := bisect_left(times_ms, cut)) - bounds[-1] >= least:
            bounds.append(place)
    if len(bounds) > 1 and len(times_ms) - bounds[-1] < least:
        bounds.pop()
    bounds.append(len(times_ms))
    found: list[Span] = []
    for start, stop in pairwise(bounds):
        found += _of_shot(times_ms[start:stop], least)
    return tuple(found)


def _of_shot(times_ms: Sequence[int], least: int) -> list[Span]:
    total = len(times_ms)
    found: list[Span] = []
    first = 0
    while total - first >= least:
        stop = max(bisect_left(times_ms, times_ms[first] + SPAN_MS), first + least)
        if stop >= total:
            # The last window ends with the shot, and reaches back for what it lacks.
            whole = bisect_right(times_ms, times_ms[-1] - SPAN_MS)
            first, stop = min(first, whole, total - least), total
        found.append(Span(times_ms[first], times_ms[stop - 1]))
        if stop == total:
            break
        first = max(first + 1, bisect_left(times_ms, times_ms[first] + _STEP_MS))
        first = min(first, total - least)
    return found
