"""A map is drawn where it was measured, on a scale that never moves."""

import cv2
import numpy as np

from tests.unit.workers.making import crop
from workers.verdicts.drawing.heatmaps import decode_map, on_crop, overlay, png


def test_a_map_over_a_part_of_the_crop_is_drawn_on_that_part_alone() -> None:
    # The crop is 20 x 20, 5 frame pixels each, its corner at frame (100, 50). The 2 x 2 map covers
    # the crop's columns 10..20 and rows 0..10: frame x 150..200, y 50..100, 25 px per cell.
    heatmap = np.array([[1.0, 0.0], [0.0, 0.0]], dtype=np.float32)
    drawn = on_crop(heatmap, (25.0, 0.0, 150.0, 0.0, 25.0, 50.0), crop(0))
    assert drawn.shape == (20, 20)
    assert drawn[:, :10].max() == 0.0
    assert drawn[10:, :].max() == 0.0
    assert drawn[0, 10] == 1.0
    # Bilinear: between the centres of the two upper cells, at crop x 12.5 and 17.5, it falls to 0.
    # (OpenCV interpolates in steps of a 32nd of a cell.)
    assert np.isclose(drawn[0, 14], 0.6, atol=1 / 32) and np.isclose(drawn[0, 18], 0.0)


def test_a_map_without_a_matrix_covers_the_whole_crop() -> None:
    drawn = on_crop(np.full((4, 4), 0.5, np.float32), None, crop(0))
    assert np.allclose(drawn, 0.5, atol=1e-6)


def test_the_colour_of_a_value_does_not_depend_on_the_rest_of_the_map() -> None:
    face = np.full((2, 2, 3), 128, np.uint8)
    alone = overlay(face, np.array([[0.3, 0.3], [0.3, 0.3]], np.float32))
    beside_one = overlay(face, np.array([[0.3, 1.0], [0.0, 0.3]], np.float32))
    assert (alone[0, 0] == beside_one[0, 0]).all()
    assert (beside_one[1, 0] == face[1, 0]).all()
    assert (beside_one[0, 1] != face[0, 1]).any()


def test_pictures_are_lossless_and_maps_survive_their_bytes() -> None:
    face = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    read = cv2.imdecode(np.frombuffer(png(face), np.uint8), cv2.IMREAD_COLOR)
    assert (cv2.cvtColor(read, cv2.COLOR_BGR2RGB) == face).all()
    assert (
        decode_map(bytes([0, 255, 51, 102]), 2, 2).tolist()
        == np.float32([[0.0, 1.0], [0.2, 0.4]]).tolist()
    )
