"""Faces that lie on their side or stand on their head: found, and told how to turn them upright.

Detectors of forgery learn upright faces and accuse real people who lie. Face finders learn upright
faces too, and give others away: they miss them, or are less sure. So where nothing is found, or a
face is not sure to stand upright, the finder is asked in the other three directions as well. What
it is surest of counts, over all that was asked of one video; from then on the whole picture is
searched in that direction, so that a video turned by 90 degrees gives the crops of the upright one.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from ingest.faces import Face, FaceDetector, UprightDetector, in_order, shrink
from ingest.faces.quarter_turns import face_back, turned
from ingest.faces.quick_search import QuickSearch
from unmask.arrays import Images
from unmask.geometry import iou

#: Asked at so many looks at first, then at every so many of those that leave doubt.
_ASKS_AT_FIRST, _THEN_EVERY = 8, 6
#: Longer side of the frame when it is searched in another direction.
_ASKED_PX = 480
#: A direction wins by so much more certainty (log-odds), a whole picture's over all asked so far.
_FACE_WINS, _PICTURE_WINS = 0.5, 1.0
#: Overlap (IoU) of one face found in two directions.
_SAME = 0.2
_DIRECTIONS = 4


class DirectedSearch:
    """Finds the faces of one video's sampled frames, in order, in any of four directions."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._search = QuickSearch(detector)
        self._turns = 0
        """Of the whole picture."""
        self._certainty = np.zeros(_DIRECTIONS)
        """Log-odds by direction, over all frames on which the question was asked."""
        self._doubts = 0

    def find(self, rgb: Images, pts_ms: int) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right, with their turns. Times ascend."""
        found = self._found(rgb, pts_ms)
        if not isinstance(self._detector, UprightDetector):
            return found
        sure = self._detector.upright_score
        if found and all(face.score >= sure for face in found):
            return found
        self._doubts += 1
        if self._doubts > _ASKS_AT_FIRST and self._doubts % _THEN_EVERY:
            return found
        others = {turns: self._asked(rgb, turns) for turns in range(4) if turns != self._turns}
        if self._turn_over(found, others):
            found = self._found(rgb, pts_ms)
            others = {turns: self._asked(rgb, turns) for turns in range(4) if turns != self._turns}
        return in_order(_settled(found, others, sure), rgb)

    def _found(self, rgb: Images, pts_ms: int) -> list[Face]:
        faces = self._search.find(turned(rgb, self._turns), pts_ms)
        return in_order([face_back(face, self._turns, rgb.shape) for face in faces], None)

    def _asked(self, rgb: Images, turns: int) -> list[Face]:
        """Faces in another direction, on a reduced frame."""
        small, factor = shrink(rgb, _ASKED_PX)
        seen = self._detector.detect(turned(small, turns))
        return [_grown(face_back(face, turns, small.shape), factor) for face in seen]

    def _turn_over(self, found: Sequence[Face], others: dict[int, list[Face]]) -> bool:
        """Count what was asked; True where the whole picture is to be searched in another direction."""
        for turns, faces in (others | {self._turns: list(found)}).items():
            self._certainty[turns] += max((_certainty(face) for face in faces), default=0.0)
        best = int(self._certainty.argmax())
        if self._certainty[best] < self._certainty[self._turns] + _PICTURE_WINS:
            return False
        self._turns = best
        self._search = QuickSearch(self._detector)
        return True


def _settled(found: Sequence[Face], others: dict[int, list[Face]], sure: float) -> list[Face]:
    """Each face in the direction that the finder is surest of; faces of other directions added."""
    rivals = [face for faces in others.values() for face in faces]
    settled: list[Face] = []
    for face in found:
        same = [rival for rival in rivals if iou(rival.box, face.box) >= _SAME]
        # Not by ==: faces hold arrays.
        rivals = [rival for rival in rivals if iou(rival.box, face.box) < _SAME]
        best = max(same, key=_certainty, default=None)
        if face.score >= sure > 0 or best is None:
            settled.append(face)
        elif abs(_certainty(best) - _certainty(face)) < _FACE_WINS:
            settled.append(dataclasses.replace(face, doubtful=True))
        else:
            settled.append(max(face, best, key=_certainty))
    for rival in sorted(rivals, key=_certainty, reverse=True):
        if rival.score >= sure and all(iou(rival.box, face.box) < _SAME for face in settled):
            settled.append(rival)
    return settled


def _certainty(face: Face) -> float:
    """Log-odds of being a face, none for less than even."""
    score = min(max(face.score, 0.5), 0.9999)
    return math.log(score / (1.0 - score))


def _grown(face: Face, factor: float) -> Face:
    x0, y0, x1, y1 = (value / factor for value in face.box)
    marks = None if face.landmarks is None else (face.landmarks / factor).astype(np.float32)
    return dataclasses.replace(face, box=(x0, y0, x1, y1), landmarks=marks)
