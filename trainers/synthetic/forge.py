"""Forgeries on the fly: a real face and its forgery, made from it.

Two families. *Blended*: another version of the face, or another person's, is pasted into a region
(self-blended images, Face X-ray's cross-identity blends, lip-sync-like mouths and rectangles).
*Generated*: nothing is pasted; the whole picture carries a generator's traces.
Everything is drawn from the generator that is given: the same seed makes the same pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from trainers.synthetic import appearance, masks
from trainers.synthetic.generated import Rebuild, regenerated
from trainers.synthetic.warps import REGIONS, FaceGeometry, face_geometry, region_mask
from unmask.arrays import Floats, Images

Family = Literal["self_blend", "swap", "generated"]
LEAST_CHANGE = 1.0
"""Mean change of the forged pixels, 0..255, under which a forgery is not worth showing."""


@dataclass(frozen=True, kw_only=True)
class Face:
    """A crop around one face."""

    pixels: Images
    """(side, side, 3) RGB."""
    box: tuple[float, float, float, float]
    landmarks: Floats | None = None

    @property
    def geometry(self) -> FaceGeometry:
        return face_geometry(self.landmarks, self.box)


@dataclass(frozen=True, kw_only=True)
class ForgedPair:
    """A real crop and its forgery, same size: both belong in one batch."""

    real: Images
    fake: Images
    mask: Floats
    """(side, side) in 0..1: how much of each pixel comes from the forged source, at full ratio."""
    family: Family
    region: str

    @property
    def boundary(self) -> Floats:
        return masks.boundary(self.mask)


def forge(
    face: Face,
    rng: np.random.Generator,
    *,
    donor: Face | None = None,
    rebuilds: Sequence[Rebuild] = (),
    shares: tuple[float, float, float] = (0.5, 0.25, 0.25),
) -> ForgedPair | None:
    """One pair. `shares` of self-blends, swaps (with a donor only) and generated pictures.

    None where the forgery changed too little to be seen: draw again.
    """
    family: Family = rng.choice(np.array(["self_blend", "swap", "generated"]), p=shares)
    if family == "generated":
        fake = regenerated(face.pixels, rng, rebuilds=rebuilds)
        mask = region_mask(face.geometry, "face", face.pixels.shape[0], rng)
        pair = ForgedPair(real=face.pixels, fake=fake, mask=mask, family=family, region="whole")
    elif family == "swap" and donor is not None:
        pair = _blend(face, aligned(donor, face), "swap", rng, rebuilds)
    else:
        pair = _blend(face, face.pixels, "self_blend", rng, rebuilds)
    changed = np.abs(pair.fake.astype(np.float32) - pair.real)[pair.mask > 0.5]
    return pair if changed.size and float(changed.mean()) >= LEAST_CHANGE else None


def aligned(donor: Face, target: Face) -> Images:
    """The donor's picture moved so that its face lies on the target's (similarity, five anchors)."""
    side = target.pixels.shape[0]
    matrix, _ = cv2.estimateAffinePartial2D(_anchors(donor.geometry), _anchors(target.geometry))
    if matrix is None:
        return np.asarray(cv2.resize(donor.pixels, (side, side)), np.uint8)
    return np.asarray(
        cv2.warpAffine(donor.pixels, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101),
        np.uint8,
    )  # fmt: skip


def _anchors(face: FaceGeometry) -> Floats:
    return np.array(
        [*face.eyes, face.mouth, face.point(-0.8, 0.0), face.point(0.8, 0.0)], np.float32
    )


def _blend(
    face: Face,
    source: Images,
    family: Family,
    rng: np.random.Generator,
    rebuilds: Sequence[Rebuild],
) -> ForgedPair:
    side = face.pixels.shape[0]
    region = REGIONS[int(rng.choice(len(REGIONS), p=_REGION_SHARES[family]))]
    mask = masks.resized_outline(region_mask(face.geometry, region, side, rng), rng)
    if region != "rectangle":
        mask = masks.elastic(mask, rng)
    real = face.pixels
    if family == "swap":
        source = appearance.colour_matched(source, real, mask, rng.uniform(0.5, 1.0))
        if rng.random() < 0.5:
            source = appearance.mismatched(source, rng)
        if rng.random() < 0.4:
            source = regenerated(source, rng, rebuilds=rebuilds)
    else:
        # The difference lies on either side of the seam with equal chance, as in self-blended images.
        if rng.random() < 0.7:
            source = appearance.mismatched(source, rng)
        else:
            real = appearance.mismatched(real, rng)
        if rng.random() < 0.45:
            source = regenerated(source, rng, rebuilds=rebuilds)
        source, mask = _moved(source, mask, rng)
        if region in ("mouth", "lower", "rectangle") and rng.random() < 0.6:
            source = _other_lips(source, face.geometry, rng)
    mask = masks.feathered(mask, rng) if region != "rectangle" or rng.random() < 0.5 else mask
    ratio = float(rng.choice([0.5, 0.75, 1.0, 1.0, 1.0, 1.0]))
    weight = (mask * ratio)[..., None]
    fake = np.rint(weight * source + (1.0 - weight) * real).astype(np.uint8)
    return ForgedPair(real=real, fake=fake, mask=mask, family=family, region=region)


_REGION_SHARES: dict[Family, list[float]] = {
    # face, hull, inner, mouth, eyes, lower, rectangle
    "self_blend": [0.2, 0.2, 0.15, 0.12, 0.08, 0.13, 0.12],
    "swap": [0.4, 0.35, 0.2, 0.0, 0.0, 0.05, 0.0],
}


def _moved(source: Images, mask: Floats, rng: np.random.Generator) -> tuple[Images, Floats]:
    """Shift by up to 3 % and scale by up to 5 %, source and mask together."""
    side = source.shape[0]
    matrix = cv2.getRotationMatrix2D(
        (side / 2, side / 2), rng.uniform(-2, 2), rng.uniform(0.95, 1.05)
    )
    matrix[:, 2] += rng.uniform(-0.03, 0.03, 2) * side * np.array([1.0, 0.5])
    size = (side, side)
    picture = cv2.warpAffine(
        source, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(picture, np.uint8), cv2.warpAffine(mask, matrix, size).astype(np.float32)


def _other_lips(source: Images, face: FaceGeometry, rng: np.random.Generator) -> Images:
    """Open, close or widen the mouth by a smooth local warp."""
    side = source.shape[0]
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    reach = max(face.mouth_width * rng.uniform(0.5, 0.9), 3.0)
    dx, dy = (xs - face.mouth[0]) / reach, (ys - face.mouth[1]) / (0.8 * reach)
    pull = np.exp(-(dx**2 + dy**2))
    map_x = (xs - pull * (xs - face.mouth[0]) * rng.uniform(-0.25, 0.25)).astype(np.float32)
    map_y = (ys - pull * (ys - face.mouth[1]) * rng.uniform(-0.5, 0.5)).astype(np.float32)
    return np.asarray(
        cv2.remap(source, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101),
        np.uint8,
    )
