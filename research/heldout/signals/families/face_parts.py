"""Where a face's parts are, from its mesh; frames turned so that the face stands still."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
#: Points of the mesh, in order around each part.
OVAL = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]  # fmt: skip
LIPS = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
EYES = (
    [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246],
    [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466],
)
BROWS = ([70, 63, 105, 66, 107, 55, 65, 52, 53, 46], [300, 293, 334, 296, 336, 285, 295, 282, 283, 276])  # fmt: skip
NOSE = [1, 2, 98, 327, 168, 6, 197, 195, 5, 4, 45, 275, 220, 440]
RIGID = [33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 98, 327]
SIDE = 144
_RADIUS = 34.0
PARTS = ("skin", "mouth", "eyes", "ring", "back")


class Aligned(NamedTuple):
    """One run with the face standing still."""

    frames: Floats
    """(T, 144, 144, 3): Y, Cb, Cr in 0..255."""
    masks: dict[str, NDArray[np.bool_]]
    """Parts of the face and what is around it, within the picture, by the mean mesh."""


def similarity(a: Any, b: Any) -> NDArray[np.float64]:
    """(2, 3) similarity that takes points `a` (N, 2) nearest to `b`."""
    ca, cb = a.mean(0), b.mean(0)
    za, zb = (a - ca) @ [1, 1j], (b - cb) @ [1, 1j]
    k = (np.conj(za) @ zb) / max(float((np.conj(za) @ za).real), 1e-9)
    turn = np.array([[k.real, -k.imag], [k.imag, k.real]])
    return np.concatenate([turn, (cb - turn @ ca)[:, None]], 1)


def applied(matrix: Any, points: Any) -> Any:
    """Points (N, 2) moved by a (2, 3) matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def smooth(series: Any, sigma: float) -> Any:
    """Along the first axis, the ends held."""
    reach = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.concatenate([series[:1]] * reach + [series] + [series[-1:]] * reach)
    return sum(k * padded[i : i + len(series)] for i, k in enumerate(kernel))


def canonical(mean: Any) -> NDArray[np.float64]:
    """Similarity that takes a mean mesh upright, at one size, to the middle of the picture."""
    eyes = mean[[263, 362]].mean(0) - mean[[33, 133]].mean(0)
    angle = np.arctan2(eyes[1], eyes[0])
    centre = mean.mean(0)
    radius = np.sqrt(((mean - centre) ** 2).sum(1).mean())
    k = _RADIUS / radius * np.exp(-1j * angle)
    turn = np.array([[k.real, -k.imag], [k.imag, k.real]])
    target = np.array([SIDE / 2, SIDE / 2])
    return np.concatenate([turn, (target - turn @ centre)[:, None]], 1)


def ycc(frames: NDArray[np.uint8]) -> Floats:
    """(T, S, S, 3) RGB -> Y, Cb, Cr, 0..255."""
    m = np.array(
        [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32
    )
    return np.asarray(frames.astype(np.float32) @ m.T, np.float32)


def polygon(points: Any, side: int = SIDE) -> NDArray[np.bool_]:
    """What lies within points (N, 2)."""
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    return mask.astype(bool)


def grown(mask: NDArray[np.bool_], px: int) -> NDArray[np.bool_]:
    """By `px`, or shrunk where it is below zero."""
    inner = mask if px < 0 else ~mask
    away = cv2.distanceTransform(inner.astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(away > -px if px < 0 else away <= px)


def masks_of(mesh: Any, inside: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """By a mesh (468, 2) in the picture's pixels and what of the picture lies within its frame."""
    side = inside.shape[0]
    k = max(1, round(side / 36))
    oval = polygon(mesh[OVAL], side)
    mouth = grown(polygon(mesh[LIPS], side), k)
    eyes = grown(polygon(mesh[EYES[0]], side) | polygon(mesh[EYES[1]], side), k)
    return {
        "skin": grown(oval, -k) & ~mouth & ~eyes & inside,
        "mouth": mouth & inside,
        "eyes": eyes & inside,
        "ring": grown(oval, 3 * k) & ~oval & inside,
        "back": ~grown(oval, 4 * k) & inside,
    }


def inside_frame(run: dict[str, Any], side: int) -> NDArray[np.bool_]:
    """Which pixels of the square, `side` wide, the frame really has."""
    left, top, size = run["where"]
    height, width = run["frame_size"]
    at = (np.arange(side) + 0.5) * size / side
    x, y = left + at, top + at
    return np.outer((y >= 1) & (y < height - 1), (x >= 1) & (x < width - 1))


def aligned(frames: NDArray[np.uint8], mesh: Floats, inside: NDArray[np.bool_]) -> Aligned:
    """`frames` (T, 192, 192, 3), their mesh (T, 468, 2+), what of them lies within the frame."""
    points = mesh[..., :2].astype(np.float64)
    mean = points.mean(0)
    base = canonical(mean)
    moves = np.stack([similarity(p[RIGID], mean[RIGID]) for p in points])
    moves = smooth(moves, 1.5)
    picture = ycc(frames)
    out = []
    for frame, move in zip(picture, moves, strict=True):
        whole = base[:, :2] @ move[:, :2], base[:, :2] @ move[:, 2] + base[:, 2]
        matrix = np.concatenate([whole[0], whole[1][:, None]], 1)
        out.append(
            cv2.warpAffine(
                frame,
                matrix,
                (SIDE, SIDE),
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REFLECT_101,
            )
        )
    within = cv2.warpAffine(inside.astype(np.uint8), base, (SIDE, SIDE)).astype(bool)
    return Aligned(np.stack(out).astype(np.float32), masks_of(applied(base, mean), within))
