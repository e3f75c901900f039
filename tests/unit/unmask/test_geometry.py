"""One square, one cut, one resize: what ingest, plugins and trainers all do to a picture."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.geometry import (
    Affine,
    apply,
    compose,
    cut,
    half_up,
    iou,
    resize,
    square_around,
)

numbers = st.floats(-100, 100)
affines = st.tuples(*[numbers] * 6)


def ramp(side: int) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side]
    return np.stack((x % 256, y % 256, (x + y) % 256), axis=-1).astype(np.uint8)


@given(outer=affines, inner=affines, x=numbers, y=numbers)
def test_composing_affines_is_applying_one_after_the_other(
    outer: Affine, inner: Affine, x: float, y: float
) -> None:
    expected = apply(outer, *apply(inner, x, y))
    assert apply(compose(outer, inner), x, y) == pytest.approx(expected, rel=1e-6, abs=1e-5)


def test_the_square_is_centred_on_the_box_and_as_wide_as_its_longer_side() -> None:
    assert square_around((30, 20, 50, 60), 1.5) == (10, 10, 60)


def test_ingest_places_a_corner_between_pixels_as_it_always_did() -> None:
    """Weights were trained on crops whose corner goes half up, and views whose corner goes to even."""
    box = (10.0, 12.0, 31.0, 33.0)  # a side of 20 would begin at 10.5 and 12.5
    assert square_around(box, 20 / 21, rounded=half_up) == (11, 13, 20)
    assert square_around(box, 20 / 21) == (10, 12, 20)


def test_a_square_inside_the_picture_is_cut_without_touching_a_pixel() -> None:
    pixels = ramp(100)
    np.testing.assert_array_equal(cut(pixels, 10, 20, 50), pixels[20:70, 10:60])


@given(
    size=st.tuples(st.integers(2, 40), st.integers(2, 40)), left=st.integers(-60, 60),
    top=st.integers(-60, 60), side=st.integers(1, 90),
)  # fmt: skip
def test_beyond_the_edge_the_picture_is_mirrored_however_far(
    size: tuple[int, int], left: int, top: int, side: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    mirrored = np.pad(pixels, ((160, 160), (160, 160), (0, 0)), mode="reflect")
    expected = mirrored[top + 160 : top + 160 + side, left + 160 : left + 160 + side]
    np.testing.assert_array_equal(cut(pixels, left, top, side), expected)
    np.testing.assert_array_equal(cut(pixels[..., 0], left, top, side), expected[..., 0])


def test_one_row_of_pixels_is_mirrored_into_itself() -> None:
    assert cut(ramp(5)[:1, :1], -2, -2, 6).max() == 0


@pytest.mark.parametrize(("side", "how"), [(40, cv2.INTER_AREA), (200, cv2.INTER_LINEAR)])
def test_a_picture_shrinks_by_area_and_grows_linearly(side: int, how: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    expected = cv2.resize(pixels, (side, side), interpolation=how)
    np.testing.assert_array_equal(resize(pixels, side), expected)
    assert resize(pixels, 80) is pixels


@pytest.mark.parametrize(
    ("other", "share"),
    [((0, 0, 2, 2), 1.0), ((2, 0, 4, 2), 0.0), ((1, 1, 3, 3), 1 / 7), ((9, 9, 10, 10), 0.0)],
)
def test_overlap_is_intersection_over_union(
    other: tuple[float, float, float, float], share: float
) -> None:
    assert iou((0, 0, 2, 2), other) == pytest.approx(share)
