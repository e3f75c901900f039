"""Square crops that know where they come from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.faces.crops import cut_crop

FRAME = np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8)
boxes = st.tuples(
    st.floats(-30, 110), st.floats(-30, 80), st.floats(4, 90), st.floats(4, 90)
).filter(lambda b: 0 < b[0] + b[2] / 2 < 120 and 0 < b[1] + b[3] / 2 < 90)


@given(corner_and_size=boxes, scale=st.floats(1.0, 3.0), cap=st.integers(16, 400))
def test_the_box_in_the_crop_is_the_box_in_the_frame(
    corner_and_size: tuple[float, float, float, float], scale: float, cap: int
) -> None:
    x, y, w, h = corner_and_size
    crop = cut_crop(FRAME, (x, y, x + w, y + h), scale, cap)
    a, b, tx, c, d, ty = crop.crop_to_frame
    assert crop.pixels.shape[0] == crop.pixels.shape[1] <= cap
    assert (b, c) == (0.0, 0.0)
    there = (a * crop.box[0] + tx, d * crop.box[1] + ty, a * crop.box[2] + tx, d * crop.box[3] + ty)
    assert there == pytest.approx((x, y, x + w, y + h), abs=1e-6)
    assert crop.pixels.shape[0] * a == pytest.approx(max(w, h) * scale, abs=0.51)
    # Centred to half a pixel, for corners are whole pixels of the frame.
    centre = crop.pixels.shape[0] * a / 2
    assert abs(tx + centre - (x + w / 2)) <= 0.5 + 1e-6
    assert abs(ty + centre - (y + h / 2)) <= 0.5 + 1e-6


def test_pixels_inside_the_frame_are_copied_untouched() -> None:
    crop = cut_crop(FRAME, (40, 30, 60, 50), 1.6, 640)
    assert crop.crop_to_frame == (1.0, 0.0, 34.0, 0.0, 1.0, 24.0)
    assert np.array_equal(crop.pixels, FRAME[24:56, 34:66])


def test_what_lies_outside_the_frame_is_mirrored_not_black() -> None:
    crop = cut_crop(FRAME, (-10, -10, 10, 10), 1.0, 640)
    assert np.array_equal(crop.pixels[10:, 10:], FRAME[:10, :10])
    assert np.array_equal(crop.pixels[10, :10], FRAME[0, 10:0:-1])
    assert np.array_equal(crop.pixels[:10, 10], FRAME[10:0:-1, 0])


def test_a_face_larger_than_the_frame_is_still_a_square() -> None:
    crop = cut_crop(FRAME, (-50, -60, 170, 150), 2.0, 2000)
    assert crop.pixels.shape == (440, 440, 3)
    assert crop.pixels.min() < 30 < 220 < crop.pixels.max()


def test_the_cap_averages_instead_of_skipping_pixels() -> None:
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255
    frame = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    crop = cut_crop(frame, (0, 0, 64, 64), 1.0, 32)
    assert crop.crop_to_frame == (2.0, 0.0, 0.0, 0.0, 2.0, 0.0)
    assert np.unique(crop.pixels).tolist() in ([127], [128])
