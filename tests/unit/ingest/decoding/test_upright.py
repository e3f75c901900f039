"""Frames come out as a player shows them: turned, mirrored, in square pixels."""

import gc
import itertools
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ingest.decoding.decode import Limits
from ingest.decoding.display.shown_picture import Canvas
from ingest.decoding.display.upright import Turn, turn_of
from tests.unit.ingest.clips import write_clip
from tests.unit.ingest.decoding.test_decode import LIMITS, decoded
from unmask.plugin import Images

#: a, b, c, d of the eight ways to lay a picture on a screen, and what is said of each.
WAYS = {
    (1, 0, 0, 1): (0, False),
    (0, 1, -1, 0): (90, False),
    (-1, 0, 0, -1): (180, False),
    (0, -1, 1, 0): (270, False),
    (-1, 0, 0, 1): (0, True),
    (0, 1, 1, 0): (90, True),
    (1, 0, 0, -1): (180, True),
    (0, -1, -1, 0): (270, True),
}


def matrix_of(way: tuple[int, int, int, int]) -> list[int]:
    a, b, c, d = (number << 16 for number in way)
    return [a, b, 0, c, d, 0, 0, 0, 1 << 30]


def quadrants(width: int, height: int) -> Images:
    """Four grey levels, so that no two of the eight ways look the same."""
    picture = np.empty((height, width, 3), dtype=np.uint8)
    levels = iter((30, 90, 150, 210))
    for top, left in itertools.product((0, height // 2), (0, width // 2)):
        picture[top : top + height // 2, left : left + width // 2] = next(levels)
    return picture


def laid_out(picture: Images, way: tuple[int, int, int, int]) -> Images:
    """Every pixel put where the definition of the matrix puts it: x' = ax + cy, y' = bx + dy."""
    a, b, c, d = way
    y, x = np.indices(picture.shape[:2])
    to_x, to_y = a * x + c * y, b * x + d * y
    to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
    shown = np.empty((to_y.max() + 1, to_x.max() + 1, 3), dtype=np.uint8)
    shown[to_y, to_x] = picture
    return shown


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_every_display_matrix_is_applied_as_it_is_defined(
    tmp_path: Path, suffix: str, way: tuple[int, int, int, int]
) -> None:
    stored = quadrants(96, 160)
    clip = write_clip(tmp_path / f"x.{suffix}", [stored] * 3, matrix=matrix_of(way))
    opened, frames, _ = decoded(clip)
    expected = laid_out(stored, way)
    assert (opened.height, opened.width) == frames[0].rgb.shape[:2] == expected.shape[:2]
    assert np.abs(frames[0].rgb.astype(int) - expected).mean() < 5
    assert opened.rotation_deg == WAYS[way][0]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_turn_is_a_rotation_and_then_perhaps_a_mirror(way: tuple[int, int, int, int]) -> None:
    turn = turn_of(np.array(matrix_of(way), dtype=np.int32).tobytes())
    rotation_deg, mirrored = WAYS[way]
    assert (turn.rotation_deg, turn.mirrored) == (rotation_deg, mirrored)
    picture = quadrants(6, 10)
    by_words = np.rot90(picture, k=-rotation_deg // 90)
    assert np.array_equal(turn.shown(picture), by_words[:, ::-1] if mirrored else by_words)


@pytest.mark.parametrize("matrix", [None, b"", bytes(36), bytes(35)])
def test_a_matrix_that_says_nothing_turns_nothing(matrix: bytes | None) -> None:
    assert turn_of(matrix) == Turn()


def ring(width: int, height: int) -> Images:
    picture = np.full((height, width, 3), 40, dtype=np.uint8)
    cv2.circle(picture, (width // 2, height // 2), min(width, height) // 3, (220,) * 3, 12)
    return picture


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", "libx264"),
        ("mkv", "libx264"),
        ("ts", "libx264"),
        ("mpg", "mpeg2video"),
        ("avi", "mpeg4"),
    ],
)
@pytest.mark.parametrize(("aspect", "stored"), [("4/3", (240, 240)), ("3/4", (320, 180))])
def test_a_circle_in_pixels_that_are_not_square_comes_out_round(
    tmp_path: Path, suffix: str, codec: str, aspect: str, stored: tuple[int, int]
) -> None:
    true = ring(320, 240)
    squeezed = cv2.resize(true, stored, interpolation=cv2.INTER_AREA)
    clip = write_clip(
        tmp_path / f"x.{suffix}", [squeezed] * 3, codec=codec, pixel_aspect=Fraction(aspect)
    )
    opened, frames, _ = decoded(clip)
    assert (opened.width, opened.height) == (320, 240)
    assert frames[0].rgb.shape == true.shape
    assert np.abs(frames[0].rgb.astype(int) - true).mean() < 8


def test_pixels_are_made_square_before_the_picture_is_turned(tmp_path: Path) -> None:
    true = ring(320, 240)
    squeezed = cv2.resize(true, (240, 240), interpolation=cv2.INTER_AREA)
    clip = write_clip(tmp_path / "x.mp4", [squeezed] * 3, pixel_aspect=Fraction(4, 3), rotation=-90)
    opened, frames, _ = decoded(clip)
    assert (opened.width, opened.height, opened.rotation_deg) == (240, 320, 90)
    assert np.abs(frames[0].rgb.astype(int) - np.rot90(true, k=-1)).mean() < 8


def test_square_pixels_never_make_a_frame_larger_than_the_limit(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "x.mp4", [ring(240, 240)] * 3, pixel_aspect=Fraction(4, 3))
    limits = Limits(**(vars(LIMITS) | {"max_pixels": 70_000}))
    opened, frames, _ = decoded(clip, limits=limits)
    assert (opened.width, opened.height) == (240, 180)
    assert frames[0].rgb.shape == (180, 240, 3)


@pytest.mark.parametrize("aspect", ["100/1", "1/100", "405/404"])
def test_a_pixel_shape_that_is_nonsense_or_rounding_leaves_the_pixels_alone(
    tmp_path: Path, aspect: str
) -> None:
    plain = write_clip(tmp_path / "plain.mp4", [ring(160, 120)] * 3)
    odd = write_clip(tmp_path / "odd.mp4", [ring(160, 120)] * 3, pixel_aspect=Fraction(aspect))
    assert np.array_equal(decoded(odd)[1][0].rgb, decoded(plain)[1][0].rgb)


def frames_there() -> int:
    return sum(type(each) is av.VideoFrame for each in gc.get_objects())


def test_pictures_that_were_shown_do_not_stay(tmp_path: Path) -> None:
    """A frame that was asked for its side data stayed until Python looked for knots."""
    path = write_clip(tmp_path / "a.mp4", [quadrants(96, 64)] * 40, rotation=90)
    gc.collect()
    gc.disable()
    before = frames_there()
    try:
        with av.open(str(path)) as media:
            stream = media.streams.video[0]
            canvas = None
            for frame in media.decode(stream):
                canvas = canvas or Canvas.of(stream, frame, [], 1 << 24)
                assert canvas.picture(stream, frame).shape == (96, 64, 3)
            del frame
        assert frames_there() - before <= 2
    finally:
        gc.enable()
