"""A real face and its forgery: what changed is inside the mask, and the seed decides everything."""

import numpy as np
import pytest
from skimage.data import astronaut

from trainers.synthetic.forge import Face, ForgedPair, forge
from trainers.synthetic.warps import REGIONS, face_geometry, region_mask

BOX = (62.0, 40.0, 150.0, 160.0)
POINTS = np.array([[88, 92], [124, 90], [107, 112], [92, 132], [122, 131]], np.float32)
SHARES = {"self_blend": (1.0, 0.0, 0.0), "swap": (0.0, 1.0, 0.0), "generated": (0.0, 0.0, 1.0)}


@pytest.fixture(scope="module")
def face() -> Face:
    picture = np.ascontiguousarray(astronaut()[0:210, 120:330])
    return Face(pixels=picture, box=BOX, landmarks=POINTS)


def made(face: Face, seed: int, family: str) -> ForgedPair:
    rng = np.random.default_rng(seed)
    donor = Face(pixels=np.ascontiguousarray(face.pixels[:, ::-1]), box=BOX)
    for _ in range(20):
        pair = forge(face, rng, donor=donor, shares=SHARES[family])
        if pair is not None:
            return pair
    raise AssertionError("twenty draws and no visible forgery")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("family", ["self_blend", "swap"])
def test_a_blend_changes_nothing_outside_its_mask(face: Face, seed: int, family: str) -> None:
    pair = made(face, seed, family)
    outside = pair.mask == 0
    assert outside.any()
    assert np.array_equal(pair.fake[outside], pair.real[outside])
    assert (pair.fake != pair.real).any()


@pytest.mark.parametrize("seed", range(6))
def test_a_generated_picture_changes_all_over(face: Face, seed: int) -> None:
    pair = made(face, seed, "generated")
    changed = np.abs(pair.fake.astype(int) - pair.real).max(axis=2) > 0
    assert changed[pair.mask == 0].mean() > 0.2
    assert 0.05 < pair.mask.mean() < 0.9


@pytest.mark.parametrize("family", list(SHARES))
def test_the_same_seed_makes_the_same_pair(face: Face, family: str) -> None:
    one, two = made(face, 5, family), made(face, 5, family)
    assert np.array_equal(one.fake, two.fake)
    assert np.array_equal(one.mask, two.mask)
    assert not np.array_equal(one.fake, made(face, 6, family).fake)


def test_the_boundary_is_one_on_the_seam_and_zero_inside_and_outside(face: Face) -> None:
    pair = ForgedPair(
        real=face.pixels,
        fake=face.pixels,
        mask=np.array([[0.0, 0.5, 1.0]], np.float32),
        family="swap",
        region="face",
    )
    assert np.array_equal(pair.boundary, [[0.0, 1.0, 0.0]])


def test_a_flat_picture_gives_no_pair_rather_than_a_forgery_nobody_can_see() -> None:
    flat = Face(pixels=np.full((120, 120, 3), 128, np.uint8), box=(30, 30, 90, 90))
    found = [forge(flat, np.random.default_rng(s), shares=(0, 0, 1)) for s in range(10)]
    assert None in found


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("landmarks", [None, POINTS], ids=["box", "five points"])
def test_every_region_lies_on_the_face(region: str, landmarks: np.ndarray | None) -> None:
    geometry = face_geometry(landmarks, BOX)
    mask = region_mask(geometry, region, 210, np.random.default_rng(0))  # type: ignore[arg-type]
    ys, xs = np.nonzero(mask)
    assert 0.003 < mask.mean() < 0.4
    assert BOX[0] - 25 < xs.mean() < BOX[2] + 25
    assert BOX[1] - 25 < ys.mean() < BOX[3] + 25


def test_dense_landmarks_give_their_hull_and_five_points_an_ellipse() -> None:
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    ring = np.stack([100 + 40 * np.cos(angles), 100 + 50 * np.sin(angles)], axis=1)
    dense = face_geometry(ring.astype(np.float32), BOX)
    assert dense.hull is not None
    assert dense.hull[:, 1].min() < 50  # raised over the forehead
    turned = face_geometry(POINTS, BOX)
    assert turned.hull is None
    assert turned.angle_deg == pytest.approx(np.rad2deg(np.arctan2(-2, 36)), abs=1e-3)


def test_a_number_of_landmarks_nobody_gives_is_refused() -> None:
    with pytest.raises(ValueError, match="7 landmarks"):
        face_geometry(np.zeros((7, 2), np.float32), BOX)
