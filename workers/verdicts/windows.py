"""Cut a track's faces into windows of a few seconds: named, versioned. Pure.

Two lengths, side by side: five seconds, whose score is steady, and two, so that a short forgery is not
talked down by the real looks beside it. A window lies within one shot, and is as much longer as it takes
to hold the faces that a track needs to be judged. Windows overlap by half: what is as long as one and a
half of them has one for itself.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from unmask.verdict import Named

WINDOWS = Named(name="windows-5s-2s", version="1")
SPAN_MS = 5000
SHORT_MS = 2000


class Span(NamedTuple):
    """From the first to the last face of a window, both in it."""

    start_ms: int
    end_ms: int
    short: bool = False
    """Of the shorter length, which has a calibration of its own."""


def windows_of(times_ms: Sequence[int], cuts_ms: Sequence[int], least: int) -> tuple[Span, ...]:
    """The windows of a track whose faces were seen at these times, in order of their start.

    `times_ms`: ascending. `cuts_ms`: ascending; a face at a cut belongs to the new shot. `least`: faces
    that a window must hold; a shot with fewer is judged with the one beside it. What is a window of
    either length is a long one.

    >>> [tuple(span) for span in windows_of(range(0, 8000, 1000), (), 2) if not span.short]
    [(0, 4000, False), (3000, 7000, False)]
    >>> [span[:2] for span in windows_of(range(0, 8000, 1000), (4000,), 2) if span.short][:3]
    [(0, 1000), (1000, 2000), (2000, 3000)]
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
        shot = times_ms[start:stop]
        long = _of_shot(shot, least, SPAN_MS)
        known = set(long)
        found += [Span(*span) for span in long]
        found += [
            Span(*span, short=True) for span in _of_shot(shot, least, SHORT_MS) if span not in known
        ]
    return tuple(sorted(found))


def _of_shot(times_ms: Sequence[int], least: int, length_ms: int) -> list[tuple[int, int]]:
    total = len(times_ms)
    found: list[tuple[int, int]] = []
    first = 0
    while total - first >= least:
        stop = max(bisect_left(times_ms, times_ms[first] + length_ms), first + least)
        if stop >= total:
            # The last window ends with the shot, and reaches back for what it lacks.
            whole = bisect_right(times_ms, times_ms[-1] - length_ms)
            first, stop = min(first, whole, total - least), total
        found.append((times_ms[first], times_ms[stop - 1]))
        if stop == total:
            break
        first = max(first + 1, bisect_left(times_ms, times_ms[first] + length_ms / 2))
        first = min(first, total - least)
    return found
