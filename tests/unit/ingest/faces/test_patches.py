"""Patches that are cut together are those that would be cut one by one."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.faces.finders.patches import cut_patches
from unmask.plugin import Images

FRAME = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def one_by_one(frame: Images, square: NDArray[np.float32], side: int) -> Images:
    step = max(float(square[2] - square[0]), 1.0) / side
    times = 2 if step > 2 else 1
    first = square[:2] + (step - 1) / 2
    matrix = np.array([[step / times, 0, first[0]], [0, step / times, first[1]]])
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    patch = cv2.warpAffine(frame, matrix, (times * side, times * side), flags=flags)
    return np.asarray(cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA))


def test_many_patches_are_each_what_one_alone_would_be_wherever_they_lie() -> None:
    random = np.random.default_rng(1)
    corners = random.uniform(-40, 110, (300, 2))
    sides = random.uniform(0.5, 100, (300, 1))
    squares = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    patches = cut_patches(FRAME, squares, 24)
    alone = np.stack([one_by_one(FRAME, square, 24) for square in squares])
    assert patches.shape == (300, 24, 24, 3)
    # Two ways of OpenCV to the same pixels round differently, by a thirty-second of a pixel.
    assert np.abs(patches.astype(int) - alone).mean() < 1.5


def test_a_square_of_whole_pixels_is_copied_and_outside_the_frame_it_is_black() -> None:
    inside, outside = [10, 20, 34, 44], [500, 500, 524, 524]
    first, second = cut_patches(FRAME, np.array([inside, outside], np.float32), 24)
    assert np.array_equal(first, FRAME[20:44, 10:34])
    assert not second.any()


def test_no_squares_give_no_patches() -> None:
    assert cut_patches(FRAME, np.empty((0, 4), np.float32), 48).shape == (0, 48, 48, 3)
