"""Which face tracks are one person, known again after an absence, and which are nobody. Pure.

A track ends where a face is lost or the picture is cut. Two tracks are one person where they are
never on one frame and their looks are so alike that it is sure; else they stay two, for to call two
people one is worse. A box that shows up once or twice where many looks show nothing is nobody: the
finder imagined a face.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ingest.faces.tracks import Look, unlikeness

#: Mean looks of two tracks no further apart are one person's. Of 50 people, each in one clip, 95 % of
#: the halves of one clip lie under .24, and the nearest two of different people at .30.
_SURE = 0.26
#: A track of no more sightings may be a phantom,
_FEW = 2
#: where at least so many looks per sighting, within this time and shot, show no face there.
_LOOKS_PER_SIGHTING = 5
_AROUND_MS = 4000
#: The picture has changed so much (scene.py) that another shot is likely.
_CUT = 0.5


@dataclass
class _Seen:
    frames: set[int] = field(default_factory=set)
    """Numbers of the looks that show it."""
    looks: list[Look] = field(default_factory=list)

    @property
    def mean(self) -> Look:
        mean: Look = np.mean(self.looks, axis=0)
        return mean


class People:
    """Remembers every look at every track of one video, and groups the tracks in the end."""

    def __init__(self) -> None:
        self._times_ms: list[int] = []
        self._shots: list[int] = []
        """Number of the shot of each look."""
        self._tracks: dict[int, _Seen] = defaultdict(_Seen)

    def look(self, pts_ms: int, ids: Sequence[int], looks: Sequence[Look], change: float) -> None:
        """One look at a frame: the tracks on it, one descriptor each (tracks.describe)."""
        shot = self._shots[-1] + (change > _CUT) if self._shots else 0
        for track_id, look in zip(ids, looks, strict=True):
            self._tracks[track_id].frames.add(len(self._times_ms))
            self._tracks[track_id].looks.append(look)
        self._times_ms.append(pts_ms)
        self._shots.append(shot)

    def persons(self) -> dict[int, int]:
        """Track id -> number of the person, from 1 in order of appearance. Phantoms are not in it."""
        persons: list[list[int]] = []
        for track_id, seen in sorted(self._tracks.items()):
            if self._phantom(seen):
                continue
            near = [
                (unlikeness(self._mean(person), seen.mean), number)
                for number, person in enumerate(persons)
                if not any(self._tracks[other].frames & seen.frames for other in person)
            ]
            distance, number = min(near, default=(1.0, -1))
            if distance <= _SURE:
                persons[number].append(track_id)
            else:
                persons.append([track_id])
        return {track: number for number, ids in enumerate(persons, 1) for track in ids}

    def _mean(self, person: list[int]) -> Look:
        looks = [look for track_id in person for look in self._tracks[track_id].looks]
        mean: Look = np.mean(looks, axis=0)
        return mean

    def _phantom(self, seen: _Seen) -> bool:
        if len(seen.frames) > _FEW:
            return False
        first, last = min(seen.frames), max(seen.frames)
        around = [
            number
            for number, (time, shot) in enumerate(zip(self._times_ms, self._shots, strict=True))
            if self._times_ms[first] - _AROUND_MS <= time <= self._times_ms[last] + _AROUND_MS
            and self._shots[first] <= shot <= self._shots[last]
        ]
        return len(around) - len(seen.frames) >= _LOOKS_PER_SIGHTING * len(seen.frames)
