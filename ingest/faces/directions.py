"""Faces that lie on their side or stand on their head: found, and told how to turn them upright.

Detectors of forgery learn upright faces and accuse real people who lie. Face finders learn upright
faces too, and give others away: they miss them, are less sure, or put eyes and mouth askew. So a face
that is not sure to stand upright is shown to the finder in all four directions, close up and at two
sizes. Where nothing is found at all, the whole frame is searched in the other directions. The largest
face's direction becomes that of the whole picture, so that a video turned by 90 degrees gives the very
crops of the upright one. docs/adr/0014 has how often it is right.
"""

import dataclasses
import math

import numpy as np

from ingest.faces import Face, FaceDetector, UprightDetector, shrink
from ingest.faces.finders.face import Landmarks, square_within
from ingest.faces.quarter_turns import face_back, turned
from ingest.faces.quick_search import QuickSearch
from unmask.arrays import Images
from unmask.geometry import longer_side

#: Asked at so many looks at first, then at every so many of those that leave doubt.
_ASKS_AT_FIRST, _THEN_EVERY = 8, 6
#: Faces asked about on one frame, the largest.
_FACES = 2
#: Longer side of a frame without faces when it is searched in another direction.
_ALL_PX = 480
#: A face is asked about in a square of so many times its side, in these sizes.
_AROUND = 2.2
_CLOSE_PX = (120, 200)
#: A smaller face than this share of the square is another one's.
_OF_SQUARE = 0.25
#: Once the picture's direction is known, a face of such a score whose eyes and mouth stand no more askew
#: is not asked about.
_LIKELY, _STRAIGHT_DEG = 0.9, 40.0
#: Log-odds, summed over the sizes, by which one direction must be surer than any other.
_TOLD = 0.5
#: Tilt of eyes and mouth together beyond which no more is said; a face that is missed has as much.
_MOST_DEGREES = 120.0


class DirectedSearch:
    """Finds the faces of one video's sampled frames, in order, in any of four directions."""

    def __init__(self, detector: FaceDetector, *, quick: bool = True) -> None:
        """`quick`: as of QuickSearch."""
        self._detector = detector
        self._quick = quick
        self._search = QuickSearch(detector, quick=quick)
        self._turns = 0
        """Of the whole picture."""
        self._doubts = 0
        self._told = False
        """Whether any face of this video was asked about with a clear answer."""

    @property
    def was_quick(self) -> bool:
        """Whether on the last frame known faces were only confirmed."""
        return self._search.was_quick

    def find(self, rgb: Images, pts_ms: int) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right, with their turns. Times ascend."""
        found, unsure = self._found(rgb, pts_ms)
        if not isinstance(self._detector, UprightDetector):
            return found
        if (found and not unsure) or not self._worth_asking():
            return found
        asked = sorted(unsure, key=_side, reverse=True)[:_FACES] or self._elsewhere(rgb)
        told = [(face, *self._direction(rgb, face)) for face in asked]
        self._told |= any(sure_of_it for *_, sure_of_it in told)
        largest = max(found, key=_side, default=None)
        for face, turns, sure_of_it in told:
            if sure_of_it and turns != self._turns and (largest is None or face is largest):
                self._turns = turns
                self._search = QuickSearch(self._detector, quick=self._quick)
                # The box was that of a face seen the wrong way up.
                return self._found(rgb, pts_ms)[0] or found
        return [self._settled(face, told) for face in found]

    def _worth_asking(self) -> bool:
        self._doubts += 1
        return self._doubts <= _ASKS_AT_FIRST or self._doubts % _THEN_EVERY == 0

    def _found(self, rgb: Images, pts_ms: int) -> tuple[list[Face], list[Face]]:
        """All faces, and of them those that may stand otherwise than the picture."""
        faces = self._search.find(turned(rgb, self._turns), pts_ms)
        both = [
            (face_back(face, self._turns, rgb.shape), self._stands_upright(face)) for face in faces
        ]
        both.sort(key=lambda pair: pair[0].box)
        return [face for face, _ in both], [face for face, upright in both if not upright]

    def _stands_upright(self, face: Face) -> bool:
        """Whether it need not be asked about. The first face is, in any case: later ones are believed on
        its word."""
        detector = self._detector
        if not self._told or not isinstance(detector, UprightDetector):
            return False
        if face.score >= detector.upright_score:
            return True
        straight = face.landmarks is not None and tilt_deg(face.landmarks) < _STRAIGHT_DEG
        return detector.tilt_weight > 0.0 and straight and face.score >= _LIKELY

    def _elsewhere(self, rgb: Images) -> list[Face]:
        """The surest face of a frame on which none was found, searched in the other directions."""
        small, factor = shrink(rgb, _ALL_PX)
        faces = [
            face_back(face, turns, small.shape)
            for turns in range(4)
            if turns != self._turns
            for face in self._detector.detect(turned(small, turns))
        ]
        best = max(faces, key=lambda face: face.score, default=None)
        if best is None:
            return []
        x0, y0, x1, y1 = (value / factor for value in best.box)
        return [dataclasses.replace(best, box=(x0, y0, x1, y1), landmarks=None)]

    def _direction(self, rgb: Images, face: Face) -> tuple[int, bool]:
        """In which direction the finder is surest of a face, and whether it is much surer."""
        view, _ = square_within(rgb, face.box, round(_AROUND * _side(face)))
        square = np.ascontiguousarray(view)
        certainty = np.zeros(4)
        for px in _CLOSE_PX:
            small, _ = shrink(square, px)
            for turns in range(4):
                seen = self._detector.detect(turned(small, turns))
                large = [f for f in seen if _side(f) >= _OF_SQUARE * small.shape[0]]
                certainty[turns] += self._upright(max(large, key=lambda f: f.score, default=None))
        best, second = (int(n) for n in np.argsort(-certainty, kind="stable")[:2])
        return best, bool(certainty[best] - certainty[second] >= _TOLD)

    def _upright(self, face: Face | None) -> float:
        """Log-odds of a face's standing upright."""
        assert isinstance(self._detector, UprightDetector)  # noqa: S101 - nobody else is asked
        weight = self._detector.tilt_weight
        if face is None:
            return -weight * _MOST_DEGREES
        tilt = 0.0 if face.landmarks is None else tilt_deg(face.landmarks)
        return _log_odds(face.score) - weight * min(tilt, _MOST_DEGREES)

    def _settled(self, face: Face, told: list[tuple[Face, int, bool]]) -> Face:
        for asked, turns, sure in told:
            if asked is face:
                # A close call for the direction of the whole picture is none.
                doubtful = not sure and not (self._told and turns == self._turns)
                stands = turns if sure else face.turns
                # Whoever looked at it the wrong way up can say nothing of it.
                seen = face.sure if stands == self._turns and not doubtful else None
                return dataclasses.replace(face, turns=stands, doubtful=doubtful, sure=seen)
        return face


def tilt_deg(marks: Landmarks) -> float:
    """Of the line between the eyes and of that from the eyes to the mouth, added; degrees, 0..360.

    >>> upright = np.array([[-10, 0], [10, 0], [0, 10], [-8, 20], [8, 20]], np.float32)
    >>> tilt_deg(upright), round(tilt_deg(upright @ np.array([[0, 1], [-1, 0]])))
    (0.0, 180)
    """
    left_eye, right_eye, _, left_mouth, right_mouth = marks.astype(np.float64)
    across = right_eye - left_eye
    down = (left_mouth + right_mouth - left_eye - right_eye) / 2
    lines = math.atan2(across[1], across[0]), math.atan2(down[0], down[1])
    return sum(abs(math.degrees(angle)) for angle in lines)


def _log_odds(score: float) -> float:
    """None for less than even."""
    score = min(max(score, 0.5), 0.9999)
    return math.log(score / (1.0 - score))


def _side(face: Face) -> float:
    return longer_side(face.box)
