"""Where a face is, from many landmarks, five points, or only its box."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from unmask.arrays import Floats

Region = Literal["face", "hull", "inner", "mouth", "eyes", "lower", "rectangle"]
REGIONS: tuple[Region, ...] = ("face", "hull", "inner", "mouth", "eyes", "lower", "rectangle")


@dataclass(frozen=True, kw_only=True)
class FaceGeometry:
    """One face as an ellipse with its parts. All lengths in pixels, x right, y down."""

    centre: tuple[float, float]
    axes: tuple[float, float]
    """Semi-axes: across the face, along the face."""
    angle_deg: float
    """Rotation of the eye line, clockwise on the screen."""
    eyes: tuple[tuple[float, float], tuple[float, float]]
    mouth: tuple[float, float]
    mouth_width: float
    hull: Floats | None
    """(N, 2) convex outline, only where many landmarks are known."""

    def point(self, across: float, along: float) -> tuple[float, float]:
        """A point in the face's own frame, in semi-axes from the centre -> pixels."""
        turn = np.deg2rad(self.angle_deg)
        x, y = across * self.axes[0], along * self.axes[1]
        return (
            self.centre[0] + x * float(np.cos(turn)) - y * float(np.sin(turn)),
            self.centre[1] + x * float(np.sin(turn)) + y * float(np.cos(turn)),
        )


def from_box(box: tuple[float, float, float, float]) -> FaceGeometry:
    """Box only: an ellipse of 0.42 x width and 0.52 x height, parts at their usual places."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    centre = (x0 + width / 2, y0 + height / 2)
    return FaceGeometry(
        centre=centre,
        axes=(0.42 * width, 0.52 * height),
        angle_deg=0.0,
        eyes=((x0 + 0.31 * width, y0 + 0.4 * height), (x0 + 0.69 * width, y0 + 0.4 * height)),
        mouth=(centre[0], y0 + 0.77 * height),
        mouth_width=0.36 * width,
        hull=None,
    )


def from_five_points(points: Floats) -> FaceGeometry:
    """(5, 2) left eye, right eye, nose, mouth left, mouth right (image left and right)."""
    eyes, mouths = points[:2], points[3:5]
    eye_mid, mouth_mid = eyes.mean(axis=0), mouths.mean(axis=0)
    across = eyes[1] - eyes[0]
    eye_distance = float(np.hypot(*across))
    drop = float(np.hypot(*(mouth_mid - eye_mid)))
    # In profile the eyes nearly coincide; the eye-mouth distance still tells the face's size.
    half_width = 1.1 * max(eye_distance, 0.6 * drop)
    centre = (eye_mid + mouth_mid) / 2
    return FaceGeometry(
        centre=(float(centre[0]), float(centre[1])),
        axes=(half_width, 1.45 * max(drop, 0.6 * eye_distance)),
        angle_deg=float(np.rad2deg(np.arctan2(across[1], across[0]))),
        eyes=((float(eyes[0, 0]), float(eyes[0, 1])), (float(eyes[1, 0]), float(eyes[1, 1]))),
        mouth=(float(mouth_mid[0]), float(mouth_mid[1])),
        mouth_width=max(float(np.hypot(*(mouths[1] - mouths[0]))), 0.5 * eye_distance),
        hull=None,
    )


def from_many_points(points: Floats, *, forehead: float = 0.2) -> FaceGeometry:
    """(N >= 20, 2) dense landmarks: their convex hull, raised by `forehead` of the face's height.

    The parts are placed as for a box: indices of eyes and mouth differ between 68, 106 and 468.
    """
    x0, y0 = points.min(axis=0)
    x1, y1 = points.max(axis=0)
    base = from_box((float(x0), float(y0), float(x1), float(y1)))
    lifted = points.copy()
    upper = lifted[:, 1] < base.centre[1]
    lifted[upper, 1] -= forehead * (y1 - y0)
    outline = cv2.convexHull(np.concatenate([points, lifted]).astype(np.float32))[:, 0]
    return FaceGeometry(**{**base.__dict__, "hull": outline.astype(np.float32)})


def face_geometry(landmarks: Floats | None, box: tuple[float, float, float, float]) -> FaceGeometry:
    """The best geometry that is known: dense landmarks, five points, or the box.

    Raises ValueError for a number of landmarks that no provider gives.
    """
    if landmarks is None:
        return from_box(box)
    if len(landmarks) == 5:
        return from_five_points(landmarks)
    if len(landmarks) >= 20:
        return from_many_points(landmarks)
    raise ValueError(f"{len(landmarks)} landmarks: give 5, at least 20, or none.")


def _ellipse(
    mask: Floats, centre: tuple[float, float], axes: tuple[float, float], deg: float
) -> None:
    cv2.ellipse(
        mask,
        (round(centre[0]), round(centre[1])),
        (max(1, round(axes[0])), max(1, round(axes[1]))),
        deg, 0, 360, 1.0, -1,
    )  # fmt: skip


def region_mask(face: FaceGeometry, region: Region, side: int, rng: np.random.Generator) -> Floats:
    """(side, side) hard 0/1 mask of one region, its axes and place varied by up to 10 %."""
    mask = np.zeros((side, side), np.float32)
    grow = rng.uniform(0.9, 1.1, 2)
    shift = rng.uniform(-0.03, 0.03, 2) * face.axes[0] * 2
    wide, tall = face.axes[0] * grow[0], face.axes[1] * grow[1]
    place = (face.centre[0] + shift[0], face.centre[1] + shift[1])
    if region == "hull":
        cv2.fillConvexPoly(mask, _outline(face, rng).astype(np.int32), 1.0)
    elif region == "face":
        _ellipse(mask, place, (wide, tall), face.angle_deg)
    elif region == "inner":
        shrink = rng.uniform(0.62, 0.85)
        _ellipse(mask, place, (wide * shrink, tall * shrink), face.angle_deg)
    elif region == "mouth":
        size = face.mouth_width * rng.uniform(0.65, 1.1)
        _ellipse(mask, face.mouth, (size, size * rng.uniform(0.5, 0.9)), face.angle_deg)
    elif region == "eyes":
        radius = 0.34 * face.axes[0] * grow[0]
        for eye in face.eyes:
            _ellipse(mask, eye, (radius * 1.25, radius * rng.uniform(0.7, 1.0)), face.angle_deg)
        if rng.random() < 0.5:
            (ax, ay), (bx, by) = face.eyes
            ends = (round(ax), round(ay)), (round(bx), round(by))
            cv2.line(mask, *ends, 1.0, max(1, round(radius)))
    elif region == "lower":
        _ellipse(mask, place, (wide, tall), face.angle_deg)
        cut = face.point(0.0, rng.uniform(-0.25, 0.2))[1]
        mask[: max(0, round(cut))] = 0.0
    else:
        # Lip-sync tools paste back an upright rectangle, often only its lower half.
        top = rng.choice([-0.85, rng.uniform(-0.2, 0.15)])
        half = face.axes[0] * rng.uniform(0.75, 1.05)
        y0 = face.centre[1] + float(top) * face.axes[1]
        y1 = face.centre[1] + face.axes[1] * rng.uniform(0.85, 1.1)
        x0, x1 = face.centre[0] - half, face.centre[0] + half
        mask[max(0, round(y0)) : max(0, round(y1)), max(0, round(x0)) : max(0, round(x1))] = 1.0
    return mask


def _outline(face: FaceGeometry, rng: np.random.Generator) -> Floats:
    """An irregular convex outline: the landmarks' hull, or points near the ellipse."""
    if face.hull is not None:
        return face.hull
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(9, 16))))
    reach = rng.uniform(0.8, 1.08, len(angles))
    points = [
        face.point(float(r * np.cos(a)), float(r * np.sin(a)))
        for r, a in zip(reach, angles, strict=True)
    ]
    return np.asarray(cv2.convexHull(np.array(points, np.float32))[:, 0], np.float32)
