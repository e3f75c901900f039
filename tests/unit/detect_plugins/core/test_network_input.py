"""One cut, one resize, and the way back to the frame."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect_plugins.network_input import network_input
from unmask.geometry import Affine, apply, square_around
from unmask.plugin import FaceCrop

IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def crop(pixels: np.ndarray, box: tuple[float, float, float, float]) -> FaceCrop:
    return FaceCrop(pixels=pixels, box=box, crop_to_frame=IDENTITY)


def ramp(side: int) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side]
    return np.stack((x % 256, y % 256, (x + y) % 256), axis=-1).astype(np.uint8)


def test_at_the_plugins_own_size_pixels_arrive_unchanged() -> None:
    pixels = ramp(120)
    image, affine = network_input(crop(pixels, (40, 40, 80, 80)), scale=2.0, input_px=80)
    np.testing.assert_array_equal(
        image, pixels[20:100, 20:100].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    )
    assert affine == (1.0, 0.0, 20.0, 0.0, 1.0, 20.0)


@pytest.mark.parametrize(("input_px", "how"), [(40, cv2.INTER_AREA), (200, cv2.INTER_LINEAR)])
def test_it_shrinks_by_area_and_enlarges_linearly(input_px: int, how: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    image, _ = network_input(crop(pixels, (0, 0, 80, 80)), scale=1.0, input_px=input_px)
    expected = cv2.resize(pixels, (input_px, input_px), interpolation=how)
    np.testing.assert_array_equal(
        (image * 255).round().astype(np.uint8).transpose(1, 2, 0), expected
    )


@given(
    x=st.floats(5, 60), y=st.floats(5, 60), side=st.floats(20, 80), scale=st.floats(1, 2.5),
    zoom=st.floats(0.5, 3), input_px=st.integers(32, 300),
)  # fmt: skip
def test_corners_of_the_input_go_back_to_the_corners_of_the_square(
    x: float, y: float, side: float, scale: float, zoom: float, input_px: int
) -> None:
    to_frame: Affine = (zoom, 0.0, 11.0, 0.0, zoom, -7.0)
    face = FaceCrop(
        pixels=np.zeros((140, 140, 3), np.uint8),
        box=(x, y, x + side, y + side),
        crop_to_frame=to_frame,
    )
    left, top, width = square_around(face.box, scale)
    _, affine = network_input(face, scale=scale, input_px=input_px)
    assert apply(affine, 0, 0) == pytest.approx(apply(to_frame, left, top), abs=1e-6)
    far = apply(to_frame, left + width, top + width)
    assert apply(affine, input_px, input_px) == pytest.approx(far, abs=1e-6)
