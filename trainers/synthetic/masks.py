"""From a hard region to the soft mask of a blend: deform, feather, weaken."""

import cv2
import numpy as np

from unmask.arrays import Floats


def elastic(mask: Floats, rng: np.random.Generator, *, reach: float = 0.05) -> Floats:
    """Deform the outline by a smooth random field of up to about `reach` of the side."""
    side = mask.shape[0]
    coarse = rng.normal(0.0, 1.0, (2, 6, 6)).astype(np.float32)
    field = [
        cv2.resize(c, (side, side), interpolation=cv2.INTER_CUBIC) * reach * side / 2
        for c in coarse
    ]
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    bent = cv2.remap(mask, xs + field[0], ys + field[1], cv2.INTER_LINEAR, borderValue=0.0)
    return np.asarray(bent, np.float32)


def resized_outline(mask: Floats, rng: np.random.Generator) -> Floats:
    """Erode by up to 5 % or dilate by up to 2 % of the side (Face X-ray widens and narrows too)."""
    change = rng.uniform(-0.05, 0.02) * mask.shape[0]
    size = 2 * round(abs(change)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    changed = cv2.erode(mask, kernel) if change < 0 else cv2.dilate(mask, kernel)
    return np.asarray(changed, np.float32)


def feathered(mask: Floats, rng: np.random.Generator) -> Floats:
    """Blur the edge inwards, by 0.3 to 6 % of the side: the mask never grows."""
    side = mask.shape[0]
    sigma = float(np.exp(rng.uniform(np.log(0.003), np.log(0.06)))) * side
    soft = cv2.GaussianBlur(mask, (0, 0), sigma)
    inward = np.clip(2 * soft - 1, 0.0, 1.0) if rng.random() < 0.6 else soft
    peak = float(inward.max())
    return np.asarray(inward / peak if peak > 0 else inward, np.float32)


def boundary(mask: Floats) -> Floats:
    """Where two sources mix: 4 m (1 - m), 1 on the seam and 0 inside and outside (Face X-ray)."""
    return (4.0 * mask * (1.0 - mask)).astype(np.float32)
