"""Turned there and back, a face lies where it lay."""

import numpy as np
import pytest

from ingest.faces import Face
from ingest.faces.quarter_turns import face_back, matrix_back, to_turned, turned, turns_of
from unmask.geometry import apply

SHAPE = (90, 160, 3)
BOX = (20.0, 10.0, 60.0, 40.0)


@pytest.mark.parametrize("turns", range(4))
def test_a_box_shows_the_same_pixels_on_the_turned_frame(turns: int) -> None:
    frame = np.random.default_rng(1).integers(0, 256, SHAPE).astype(np.uint8)
    x0, y0, x1, y1 = (int(v) for v in BOX)
    a, b, c, d = (int(v) for v in to_turned(BOX, turns, SHAPE))
    cut = np.rot90(frame[y0:y1, x0:x1], turns)
    assert np.array_equal(turned(frame, turns)[b:d, a:c], cut)


@pytest.mark.parametrize("turns", range(4))
def test_a_face_on_the_turned_frame_comes_back_with_its_landmarks(turns: int) -> None:
    marks = np.array([[30, 20], [50, 20], [40, 28], [32, 35], [48, 35]], np.float32)
    there = to_turned(BOX, turns, SHAPE)
    points = [to_turned((x, y, x, y), turns, SHAPE)[:2] for x, y in marks]
    face = Face(box=there, score=0.9, landmarks=np.array(points, np.float32))
    back = face_back(face, turns, SHAPE)
    assert back.box == pytest.approx(BOX)
    assert back.landmarks is not None
    assert np.allclose(back.landmarks, marks)
    assert back.turns == turns


@pytest.mark.parametrize("turns", range(4))
def test_a_matrix_leads_from_the_crop_to_the_frame_as_shown(turns: int) -> None:
    a, b, *_ = to_turned(BOX, turns, SHAPE)
    crop_to_frame = matrix_back((2.0, 0.0, a, 0.0, 2.0, b), turns, SHAPE)
    assert turns_of(crop_to_frame) == turns
    c, d = (BOX[3] - BOX[1], BOX[2] - BOX[0]) if turns % 2 else (BOX[2] - BOX[0], BOX[3] - BOX[1])
    corners = [apply(crop_to_frame, x, y) for x, y in ((0, 0), (c / 2, d / 2))]
    xs, ys = sorted(x for x, _ in corners), sorted(y for _, y in corners)
    assert (xs[0], ys[0], xs[1], ys[1]) == pytest.approx(BOX)
