"""A face's direction is told by its landmarks where the finder is as sure in any."""

import numpy as np
import pytest

from ingest.faces import Face
from ingest.faces.directions import DirectedSearch
from unmask.arrays import Images
from unmask.geometry import Box

SIDE = 300
UPRIGHT = np.array([[-0.2, -0.2], [0.2, -0.2], [0, 0], [-0.15, 0.25], [0.15, 0.25]])


def face_turned(turns: int) -> Images:
    """A square, bright where the forehead is, after so many quarter turns with the clock."""
    rgb = np.full((SIDE, SIDE, 3), 40, np.uint8)
    rgb[: SIDE // 3] = 200
    return np.ascontiguousarray(np.rot90(rgb, -turns))


class SureOfAll:
    """Finds the same face with the same certainty whichever way it is held; its landmarks follow half of
    the turn, as those of finders that learned upright faces do."""

    name, weak, upright_score, tilt_weight = "sure of all", False, 0.99, 0.1

    def __init__(self, score: float, follow: float = 0.6) -> None:
        self._score, self._follow = score, follow

    def detect(self, rgb: Images) -> list[Face]:
        side = rgb.shape[0]
        edges = [rgb[: side // 3], rgb[:, -side // 3 :], rgb[-side // 3 :], rgb[:, : side // 3]]
        turned = int(np.argmax([edge.mean() for edge in edges]))
        angle = {0: 0.0, 1: 90.0, 2: 180.0, 3: -90.0}[turned] * self._follow
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        marks = (UPRIGHT @ np.array([[cos, sin], [-sin, cos]]) + 0.5) * side
        box = (0.15 * side, 0.15 * side, 0.85 * side, 0.85 * side)
        return [Face(box=box, score=self._score, landmarks=marks.astype(np.float32))]


@pytest.mark.parametrize("turns", range(4))
def test_the_landmarks_tell_where_the_score_does_not(turns: int) -> None:
    (face,) = DirectedSearch(SureOfAll(0.95)).find(face_turned(turns), 0)
    assert (face.turns, face.doubtful) == (turns, False)


def test_landmarks_that_never_tilt_leave_a_doubt() -> None:
    (face,) = DirectedSearch(SureOfAll(0.95, follow=0.0)).find(face_turned(1), 0)
    assert (face.turns, face.doubtful) == (0, True)


class SureWhenUpright(SureOfAll):
    """Lays boxes to rest where they are, and sees an upright face alone."""

    quick_px, new_score = 1000, 0.0
    glimpse = SureOfAll.detect

    def at_rest(self, rgb: Images, box: Box) -> tuple[Box, float]:
        top, bottom = (part.mean() for part in np.array_split(rgb, 2))
        return box, 0.9 if top > bottom else 0.1


@pytest.mark.parametrize(
    ("turns", "follow", "sure"), [(0, 0.6, 0.9), (1, 0.6, 0.9), (2, 0.0, None)]
)
def test_whoever_saw_a_face_the_wrong_way_up_is_not_asked_how_sure_it_is(
    turns: int, follow: float, sure: float | None
) -> None:
    (face,) = DirectedSearch(SureWhenUpright(0.95, follow)).find(face_turned(turns), 0)
    assert face.sure == sure
