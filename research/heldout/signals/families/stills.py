"""What generators, blends and codecs leave in single frames: co-occurrence, spectra, noise part against part."""

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from research.heldout.signals.families.face_parts import Floats, masks_of, ycc

EVERY = 13
LOOKED = slice(EVERY // 2, None, EVERY)
"""Which frames of a run are looked at."""
#: Residuals of rich models: derivatives of the first to third order, and the square's second.
_FILTERS = {
    "h1": [[0, 0, 0], [0, -1, 1], [0, 0, 0]],
    "h2": [[0, 0, 0], [1, -2, 1], [0, 0, 0]],
    "v1": [[0, 0, 0], [0, -1, 0], [0, 1, 0]],
    "v2": [[0, 1, 0], [0, -2, 0], [0, 1, 0]],
    "kb": [[-1, 2, -1], [2, -4, 2], [-1, 2, -1]],
}


def _some(frames: NDArray[np.uint8]) -> Floats:
    """A few frames as Y, Cb, Cr."""
    return ycc(frames[LOOKED])


def cooccurrence(frames: NDArray[np.uint8], mesh: Any, inside: Any) -> NDArray[np.float32]:
    """Of three neighbouring residuals in units of their own spread: on the skin, and skin less ring."""
    found = []
    for frame, points in zip(_some(frames), mesh[LOOKED], strict=True):
        masks = masks_of(points[:, :2], inside)
        face, ring = masks["skin"] | masks["mouth"] | masks["eyes"], masks["ring"]
        row = []
        for kernel in _FILTERS.values():
            residual = cv2.filter2D(frame[..., 0], -1, np.array(kernel, np.float32))
            on_face = _triples(residual, face)
            row += [on_face, on_face - _triples(residual, ring)]
        found.append(np.concatenate(row))
    return np.asarray(np.nanmean(found, axis=0), np.float32)


def _triples(residual: Any, mask: Any) -> NDArray[np.float32]:
    """(63,): how often triples of quantised neighbours occur, along rows and columns; signs and order shared."""
    if mask.sum() < 200:
        return np.full(63, np.nan, np.float32)
    unit = np.median(np.abs(residual[mask])) + 0.5
    q = np.clip(np.round(residual / unit), -2, 2).astype(int)
    counts = np.zeros(125)
    for a, b, c, m in (
        (q[:, :-2], q[:, 1:-1], q[:, 2:], mask[:, 1:-1]),
        (q[:-2], q[1:-1], q[2:], mask[1:-1]),
    ):
        code = (a + 2) * 25 + (b + 2) * 5 + c + 2
        counts += np.bincount(code[m], minlength=125)
    cube = counts.reshape(5, 5, 5)
    cube = cube + cube[::-1, ::-1, ::-1]
    flat = cube.ravel()[:63]
    return np.asarray(np.sqrt(flat / flat.sum()), np.float32)


def spectra(frames: NDArray[np.uint8], mesh: Any, side: int = 96) -> NDArray[np.float32]:
    """Radial spectra of a patch around the nose, without their slope, of Y, Cb, Cr; direction; peaks of grids."""
    window = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    fy, fx = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    radius, angle = np.hypot(fx, fy), np.abs(np.arctan2(np.abs(fy), fx))
    ring = np.clip((radius / 0.5 * 16).astype(int), 0, 17)
    total = np.zeros((3, side, side // 2 + 1))
    for frame, points in zip(_some(frames), mesh[LOOKED], strict=True):
        limit = frame.shape[0] - side
        x, y = (int(np.clip(v - side / 2, 0, limit)) for v in points[[1, 6, 164], :2].mean(0))
        patch = frame[y : y + side, x : x + side]
        for c in range(3):
            values = (patch[..., c] - patch[..., c].mean()) * window
            total[c] += np.log(np.abs(np.fft.rfft2(values)) ** 2 + 1.0)
    total /= max(1, len(_some(frames)))
    found: list[float] = []
    for c in range(3):
        profile = np.array([total[c][ring == r].mean() for r in range(1, 17)])
        at = np.log(np.arange(1, 17))
        slope, base = np.polyfit(at, profile, 1)
        found += [float(slope), *(profile - slope * at - base).tolist()]
        middle = (radius > 0.12) & (radius < 0.45)
        upright = total[c][middle & (angle < 0.3)].mean() - total[c][middle & (angle > 1.27)].mean()
        slanted = total[c][middle & (np.abs(angle - 0.785) < 0.3)].mean() - total[c][middle].mean()
        found += [float(upright), float(slanted)]
        blurred = cv2.GaussianBlur(total[c], (0, 0), 3)
        over = total[c] - blurred
        for n in (2, 4, 8):
            rows = np.unique(np.round(np.arange(1, n // 2 + 1) * side / n).astype(int))
            columns = rows[rows < over.shape[1]]
            found += [float(over[:, columns].mean()), float(over[np.r_[rows, -rows]].mean())]
            found.append(float(over[np.ix_(rows, columns)].mean()))
    between = total[0][radius > 0.1].mean()
    found += [float(total[c][radius > 0.1].mean() - between) for c in (1, 2)]
    return np.array(found, np.float32)


def dct(frames: NDArray[np.uint8], mesh: Any, inside: Any) -> NDArray[np.float32]:
    """Mean size of each 8 x 8 coefficient against all, on the face; and against the ring's."""
    basis = cv2.dct(np.eye(8, dtype=np.float32))
    found = []
    for frame, points in zip(_some(frames), mesh[LOOKED], strict=True):
        masks = masks_of(points[:, :2], inside)
        face = masks["skin"] | masks["mouth"] | masks["eyes"]
        per = {}
        for name, mask in (("face", face), ("ring", masks["ring"])):
            blocks = []
            for oy in (0, 3, 6):
                for ox in (0, 3, 6):
                    luma, m = frame[oy:, ox:, 0], mask[oy:, ox:]
                    h, w = luma.shape[0] // 8 * 8, luma.shape[1] // 8 * 8
                    cells = luma[:h, :w].reshape(h // 8, 8, w // 8, 8).transpose(0, 2, 1, 3)
                    share = m[:h, :w].reshape(h // 8, 8, w // 8, 8).mean((1, 3))
                    blocks.append(cells[share > 0.8])
            cells = np.concatenate(blocks)
            if len(cells) < 12:
                per[name] = np.full(63, np.nan)
                continue
            size = np.log(np.abs(basis @ cells @ basis.T).mean(0) + 0.05).ravel()[1:]
            per[name] = size - size.mean()
        found.append(np.concatenate([per["face"], per["face"] - per["ring"]]))
    return np.asarray(np.nanmean(found, axis=0), np.float32)


def parts(frames: NDArray[np.uint8], mesh: Any, inside: Any) -> NDArray[np.float32]:
    """Fine noise of each part against the skin's, in luma and chroma; how its colours go together."""
    found = []
    for frame, points in zip(_some(frames), mesh[LOOKED], strict=True):
        masks = masks_of(points[:, :2], inside)
        left = np.zeros_like(masks["skin"])
        left[:, : max(1, int(points[1, 0]))] = True
        low = np.zeros_like(left)
        low[int(np.clip(points[2, 1], 0, low.shape[0] - 1)) :] = True
        areas = {
            **masks,
            "left": masks["skin"] & left,
            "right": masks["skin"] & ~left,
            "low": masks["skin"] & low,
            "high": masks["skin"] & ~low,
        }
        row: list[float] = []
        blurred = [frame, *(cv2.GaussianBlur(frame, (0, 0), s) for s in (1.0, 2.0, 4.0))]
        held = [a - b for a, b in pairwise(blurred)]
        levels = {}
        for name, mask in areas.items():
            if mask.sum() < 40:
                levels[name] = np.full((3, 3), np.nan)
                continue
            levels[name] = np.array(
                [[np.log(np.median(np.abs(b[mask][:, c])) + 0.05) for c in range(3)] for b in held]
            )
        skin = levels["skin"]
        row += (skin[:, 1:] - skin[:, :1]).ravel().tolist()
        row += (skin[1:] - skin[:-1]).ravel().tolist()
        for name in ("mouth", "eyes", "ring", "back"):
            row += (levels[name] - skin).ravel().tolist()
        row += np.abs(levels["left"] - levels["right"]).ravel().tolist()
        row += (levels["low"] - levels["high"]).ravel().tolist()
        for name in ("skin", "mouth", "ring"):
            mask = areas[name]
            if mask.sum() < 40:
                row += [np.nan] * 6
                continue
            for b in held[:2]:
                together = np.corrcoef(b[mask].T + 1e-3 * np.arange(3)[:, None])
                row += [float(together[i, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
        found.append(row)
    return np.asarray(np.nanmean(np.array(found, np.float32), axis=0), np.float32)
