"""Which face tracks are one person, known again after an absence, and which are nobody. Pure.

A track ends where a face is lost or the picture is cut. Two tracks are one person where they are
never on one frame and their looks are so alike that it is sure; else they stay two, for to call two
people one is worse. A box that never stays for more than a look or two, where many looks show
nothing, is nobody: the finder imagined a face.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from ingest.faces.tracks import Look, unlikeness

#: Mean looks of two tracks no further apart are one person's. Of 50 people, each in one clip, 95 % of
#: the halves of one clip lie under .24, and the nearest two of different people at .30.
_SURE = 0.26
#: A track never seen on more looks in a row may be a phantom,
_FEW = 2
#: where at least so many looks per sighting, within this time and shot, show no face there.
_LOOKS_PER_SIGHTING = 5
_AROUND_MS = 4000
#: The picture has changed so much (scene.py) that another shot is likely.
_CUT = 0.5


@dataclass
class _Seen:
    """What is kept of one track: little, for a live stream goes on for days."""

    runs: list[tuple[int, int]] = field(default_factory=list)
    """Numbers of the looks that show it, first and last of each unbroken row."""
    sum: Look = field(default_factory=lambda: np.zeros(0, np.float32))
    count: int = 0

    def add(self, number: int, look: Look) -> None:
        """Seen again, on look `number`."""
        if self.runs and self.runs[-1][1] == number - 1:
            self.runs[-1] = (self.runs[-1][0], number)
        else:
            self.runs.append((number, number))
        self.sum = look if self.count == 0 else self.sum + look
        self.count += 1

    def meets(self, other: "_Seen") -> bool:
        """Whether both are on one frame."""
        return any(a <= d and c <= b for a, b in self.runs for c, d in other.runs)


class People:
    """Remembers how each track of one video looks on average, and groups the tracks in the end."""

    def __init__(self, most_tracks: int | None = None) -> None:
        """`most_tracks`: of more, those that were seen last are remembered; None: all."""
        self._times_ms = array("q")
        self._shots = array("q")
        """Number of the shot of each look."""
        self._tracks: dict[int, _Seen] = {}
        self._most_tracks = most_tracks

    def look(self, pts_ms: int, ids: Sequence[int], looks: Sequence[Look], change: float) -> None:
        """One look at a frame: the tracks on it, one descriptor each (tracks.describe)."""
        shot = self._shots[-1] + (change > _CUT) if self._shots else 0
        for track_id, look in zip(ids, looks, strict=True):
            seen = self._tracks.pop(track_id, None) or _Seen()
            seen.add(len(self._times_ms), look)
            self._tracks[track_id] = seen  # the last seen is the last in order
        while self._most_tracks is not None and len(self._tracks) > self._most_tracks:
            del self._tracks[next(iter(self._tracks))]
        self._times_ms.append(pts_ms)
        self._shots.append(shot)

    def persons(self, among: Collection[int] | None = None) -> dict[int, int]:
        """Track id -> number of the person, from 1 in order of appearance. Phantoms are not in it.

        `among`: the tracks that are asked about; None: all.
        """
        persons: list[list[int]] = []
        for track_id, seen in sorted(self._tracks.items()):
            if (among is not None and track_id not in among) or self._phantom(seen):
                continue
            mean = self._mean([track_id])
            near = [
                (unlikeness(self._mean(person), mean), number)
                for number, person in enumerate(persons)
                if not any(self._tracks[other].meets(seen) for other in person)
            ]
            distance, number = min(near, default=(1.0, -1))
            if distance <= _SURE:
                persons[number].append(track_id)
            else:
                persons.append([track_id])
        return {track: number for number, ids in enumerate(persons, 1) for track in ids}

    def _mean(self, person: list[int]) -> Look:
        tracks = [self._tracks[track_id] for track_id in person]
        total = np.sum([t.sum for t in tracks], axis=0, dtype=np.float64)
        mean: Look = np.asarray(total / sum(t.count for t in tracks), np.float32)
        return mean

    def _phantom(self, seen: _Seen) -> bool:
        if max(b - a for a, b in seen.runs) >= _FEW:
            return False
        first, last = seen.runs[0][0], seen.runs[-1][1]
        times, shots = self._times_ms, self._shots
        begin = max(bisect_left(times, times[first] - _AROUND_MS), bisect_left(shots, shots[first]))
        end = min(bisect_right(times, times[last] + _AROUND_MS), bisect_right(shots, shots[last]))
        return end - begin - seen.count >= _LOOKS_PER_SIGHTING * seen.count
