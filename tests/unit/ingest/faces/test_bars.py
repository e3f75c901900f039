"""Bars around a picture are found, and nothing that only looks a little like them."""

from pathlib import Path

import numpy as np
import pytest

from ingest.decoding.decode import Frame
from ingest.faces import Face
from ingest.faces.bars import Bars, edges_within
from ingest.faces.frame_faces import FaceFollower
from tests.unit.ingest.clips import portrait
from unmask.arrays import Images


def scenery(height: int = 120, width: int = 200) -> Images:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def framed(picture: Images, top: int, left: int, level: int = 16) -> Images:
    height, width = picture.shape[:2]
    frame = np.full((height + 2 * top, width + 2 * left, 3), level, np.uint8)
    frame[top : top + height, left : left + width] = picture
    return frame


@pytest.mark.parametrize(("top", "left"), [(20, 0), (0, 40), (24, 60)])
@pytest.mark.parametrize("level", [0, 16, 255])
def test_the_picture_between_bars_is_what_it_was_before(top: int, left: int, level: int) -> None:
    picture = scenery()
    part = Bars().within(framed(picture, top, left, level))
    assert part[1:] == (left, top)
    assert np.array_equal(part.rgb, picture)


def test_a_bar_may_have_the_noise_of_compression_and_a_line_more_on_one_side() -> None:
    frame = framed(scenery(), 30, 0)
    frame[:30] += np.random.default_rng(0).integers(0, 8, (30, 200, 3), np.uint8)
    frame[150] = 16
    frame[149] = 16
    assert edges_within(frame) == (0, 30, 200, 149)


@pytest.mark.parametrize("hidden", ["between the lines that are looked at", "in red and blue"])
def test_what_hides_in_a_bar_is_no_bar(hidden: str) -> None:
    frame = framed(scenery(), 0, 60)
    strips = frame[:, :60], frame[:, -60:]
    for strip in strips:
        strip[...] = scenery(120, 60)
        if hidden == "in red and blue":
            strip[..., 1] = 16
        else:
            strip[::4, :, 1] = 16
    assert edges_within(frame) == (0, 0, 320, 120)


def test_a_grey_wall_is_a_wall() -> None:
    assert edges_within(framed(scenery(), 30, 0, level=120)) == (0, 0, 200, 180)


def test_one_dark_side_is_no_pair_of_bars() -> None:
    frame = scenery()
    frame[:40] = 10
    assert edges_within(frame) == (0, 0, 200, 120)
    assert edges_within(framed(scenery(), 1, 0)) == (0, 0, 200, 122)


def test_what_is_black_beyond_the_bar_on_one_side_is_the_pictures_own() -> None:
    """A dark room above a face at the edge: with bars left in, its crop showed them (.67 was .28)."""
    picture = scenery()
    picture[:25] = 16
    assert edges_within(picture) == (0, 0, 200, 120)
    assert edges_within(framed(picture, 20, 0)) == (0, 20, 200, 140)
    assert np.array_equal(Bars().within(framed(picture, 20, 0)).rgb, picture)
    fading = scenery()
    fading[-2:] = (16, 9, 10)  # so few lines that they might be the bar's, but for their red
    assert np.array_equal(Bars().within(framed(fading, 20, 0, level=0)).rgb, fading)


def test_a_black_frame_says_nothing_and_a_picture_that_brightens_grows() -> None:
    bars = Bars()
    black = np.full((160, 200, 3), 16, np.uint8)
    assert bars.within(black).rgb is black
    dark = framed(scenery(100), 30, 0)
    assert bars.within(dark)[1:] == (0, 30)
    assert bars.within(framed(scenery(120), 20, 0))[1:] == (0, 20)
    assert bars.within(dark)[1:] == (0, 20), "it never shrinks"
    whole = scenery(160)
    assert bars.within(whole).rgb is whole
    assert bars.within(dark).rgb is dark


def test_a_scene_that_goes_on_growing_has_no_bars() -> None:
    bars = Bars()
    for top in (40, 36, 32, 28):
        frame = framed(scenery(200 - 2 * top), top, 0)
        part = bars.within(frame)
    assert part.rgb is frame


def test_another_size_of_frame_begins_anew() -> None:
    bars = Bars()
    assert bars.within(framed(scenery(), 20, 0))[1:] == (0, 20)
    assert bars.within(framed(scenery(80), 30, 0))[1:] == (0, 30)


class Found:
    """A face is wherever the picture it is given says, as all finders' are."""

    name, weak = "found", False

    def detect(self, rgb: Images) -> list[Face]:
        height, width = rgb.shape[:2]
        return [Face(box=(0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height), score=0.9)]


def test_a_letterboxed_copy_has_the_same_crops_in_another_place(tmp_path: Path) -> None:
    picture = portrait()
    looks = []
    for rgb in (picture, framed(picture, 40, 80)):
        follower = FaceFollower(Found(), crop_scale=1.5, cap_px=256, min_face_px=20)
        looks.append(follower.look(Frame(index=0, pts_ms=0, rgb=rgb)))
    ((meta, crop),), ((other, boxed),) = (seen.crops for seen in looks)
    assert np.array_equal(crop.pixels, boxed.pixels)
    assert crop.box == boxed.box
    moved = np.subtract(other.crop_to_frame, meta.crop_to_frame)
    assert moved == pytest.approx([0, 0, 80, 0, 0, 40])
