"""What a face does from frame to frame: texture, flow and landmarks. Vectors per run, by family."""

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from research.heldout.signals.families.face_parts import (
    BROWS,
    EYES,
    LIPS,
    NOSE,
    OVAL,
    RIGID,
    Aligned,
    applied,
    similarity,
    smooth,
)  # fmt: skip

_TINY = 1e-4


def bands(frames: Any) -> list[Any]:
    """Three bands of luma, fine to coarse: differences of blurs by 1, 2 and 4 pixels."""
    blurred = [frames]
    for sigma in (1.0, 2.0, 4.0):
        blurred.append(np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in frames]))
    return [a - b for a, b in pairwise(blurred)]


def _some(mask: Any, most: int = 1500) -> Any:
    """A mask's flat places as (rows, columns), thinned evenly to at most `most`."""
    rows, columns = np.nonzero(mask)
    keep = np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)
    return rows[keep], columns[keep]


def _log_ratio(a: Any, b: Any) -> float:
    return float(np.log((a + _TINY) / (b + _TINY)))


def texture(run: Aligned) -> NDArray[np.float32]:
    """How texture changes on a face that stands still: change over energy, its smoothness in time, what stays."""
    found: list[float] = []
    for band in bands(run.frames[..., 0]):
        for name in ("skin", "mouth", "eyes", "ring"):
            mask = run.masks[name]
            if mask.sum() < 30:
                found += [np.nan] * 8
                continue
            rows, columns = _some(mask)
            x = band[:, rows, columns]
            first, second = np.diff(x, axis=0), np.diff(x, 2, axis=0)
            energy = (x**2).mean()
            per_frame = (first**2).mean(1)
            around = x - x.mean(0)
            spread = (around**2).mean()
            found += [
                _log_ratio((first**2).mean(), energy),
                _log_ratio((second**2).mean(), (first**2).mean()),
                *(float((around[k:] * around[:-k]).mean() / (spread + _TINY)) for k in (1, 2, 4)),
                _log_ratio((x.mean(0) ** 2).mean(), energy),
                float(np.log(per_frame.std() / (per_frame.mean() + _TINY) + 0.01)),
                float(
                    np.log((np.square(first**2).mean() + _TINY) / ((first**2).mean() ** 2 + _TINY))
                ),
            ]
    return np.array(found, np.float32)


def time_spectrum(run: Aligned) -> NDArray[np.float32]:
    """Power over frequencies in time of each part's pixels, each against the sum: six bands."""
    small = np.stack([cv2.GaussianBlur(f, (0, 0), 1.0) for f in run.frames[..., 0]])
    window = np.hanning(len(small))[:, None]
    found: list[float] = []
    for name in ("skin", "mouth", "eyes", "ring"):
        mask = run.masks[name]
        if mask.sum() < 30:
            found += [np.nan] * 8
            continue
        rows, columns = _some(mask)
        x = small[:, rows, columns]
        power = (np.abs(np.fft.rfft((x - x.mean(0)) * window, axis=0)) ** 2).mean(1)[1:]
        edges = np.linspace(0, len(power), 7).astype(int)
        parts = np.array([power[a:b].mean() for a, b in pairwise(edges)])
        found += np.log(parts / (parts.sum() + _TINY) + 1e-5).tolist()
        # flicker of the whole part, against that of its pixels
        level = x.mean(1)
        found += [
            _log_ratio(np.diff(level).var(), np.diff(x, axis=0).var()),
            _log_ratio(np.diff(level, 2).var(), np.diff(level).var()),
        ]
    return np.array(found, np.float32)


def flow(run: Aligned) -> NDArray[np.float32]:
    """Optical flow of the face that stands still: its size, smoothness, what it leaves unexplained, in each part."""
    grey = run.frames[..., 0].clip(0, 255).astype(np.uint8)
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    side = grey.shape[1]
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).astype(np.float32)
    flows, left, plain = [], [], []
    for a, b in zip(grey[:-1:2], grey[1::2], strict=False):
        move = finder.calc(a, b, None)
        back = cv2.remap(b, grid + move, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        flows.append(move)
        left.append(back.astype(np.float32) - a)
        plain.append(b.astype(np.float32) - a)
    moves, rest, change = np.stack(flows), np.stack(left), np.stack(plain)
    rough = np.abs(np.diff(moves, axis=1))[:, :, :-1].sum(-1) + np.abs(np.diff(moves, axis=2))[:, :-1].sum(-1)  # fmt: skip
    turn = np.diff(moves[..., 1], axis=2)[:, :-1] - np.diff(moves[..., 0], axis=1)[:, :, :-1]
    fine = bands(rest)[0]
    energy = bands(run.frames[:1, ..., 0])[0][0]
    found: list[float] = []
    for name in ("skin", "mouth", "eyes", "ring", "back"):
        mask = run.masks[name]
        if mask.sum() < 30:
            found += [np.nan] * 8
            continue
        inner = mask[:-1, :-1]
        speed = np.sqrt((moves[:, mask] ** 2).sum(-1))
        found += [
            float(np.log(speed.mean() + 0.01)),
            _log_ratio((rest[:, mask] ** 2).mean(), (change[:, mask] ** 2).mean()),
            _log_ratio((fine[:, mask] ** 2).mean(), (energy[mask] ** 2).mean()),
            _log_ratio((fine[:, mask] ** 2).mean(), (rest[:, mask] ** 2).mean()),
            _log_ratio(rough[:, inner].mean(), speed.mean() + 0.01),
            _log_ratio(np.abs(turn[:, inner]).mean(), rough[:, inner].mean()),
            float(np.log(speed.std() / (speed.mean() + 0.01) + 0.01)),
            float(np.log(speed.mean(1).std() / (speed.mean() + 0.01) + 0.01)),
        ]
    return np.array(found, np.float32)


def dynamics(series: Any) -> list[float]:
    """A movement (T, n): size of its speed, how smooth it is, where in frequency it lies."""
    x = np.asarray(series, np.float64).reshape(len(series), -1)
    v, a, j = np.diff(x, axis=0), np.diff(x, 2, axis=0), np.diff(x, 3, axis=0)
    vv, aa, jj = (float((q**2).mean()) for q in (v, a, j))
    window = np.hanning(len(v))[:, None]
    power = (np.abs(np.fft.rfft(v * window, axis=0)) ** 2).mean(1)
    edges = (np.array([0, 0.08, 0.16, 0.3, 0.5, 0.75, 1.0]) * len(power)).round().astype(int)
    parts = np.array([power[lo:hi].mean() for lo, hi in pairwise(edges)])
    middle = v - v.mean(0)
    return [
        float(np.log(np.sqrt(vv) + 1e-3)),
        float(np.log((aa + 1e-7) / (vv + 1e-7))),
        float(np.log((jj + 1e-7) / (aa + 1e-7))),
        float((middle[1:] * middle[:-1]).mean() / ((middle**2).mean() + 1e-7)),
        float(np.log(((v**4).mean() + 1e-9) / (vv**2 + 1e-9))),
        *np.log(parts / (parts.sum() + 1e-9) + 1e-4).tolist(),
    ]


def landmarks(mesh: Any) -> NDArray[np.float32]:
    """Movement of the head and of parts of the face, from the mesh (T, 468, 3)."""
    points = np.asarray(mesh[..., :2], np.float64)
    mean = points.mean(0)
    size = np.sqrt(((mean - mean.mean(0)) ** 2).sum(1).mean())
    moves = np.stack([similarity(p[RIGID], mean[RIGID]) for p in points])
    still = np.stack([applied(m, p) for m, p in zip(moves, points, strict=True)]) / size
    turn = np.arctan2(moves[:, 1, 0], moves[:, 0, 0])
    scale = np.log(np.hypot(moves[:, 0, 0], moves[:, 1, 0]))
    nose = points[:, 1] / size
    depth = (mesh[:, 234, 2] - mesh[:, 454, 2]) / size
    found: list[float] = []
    for series in (nose, turn, scale, depth):
        found += dynamics(series)
    for part in (OVAL, LIPS, EYES[0] + EYES[1], BROWS[0] + BROWS[1], NOSE):
        found += dynamics(still[:, part])
    found += lids_and_lips(still)
    return np.array(found, np.float32)


def lids_and_lips(still: Any) -> list[float]:
    """Opening of the eyes and of the mouth, over time and together."""
    wide = [
        np.linalg.norm(still[:, u] - still[:, d], axis=1)
        / (np.linalg.norm(still[:, a] - still[:, b], axis=1) + 1e-3)
        for u, d, a, b in ((159, 145, 33, 133), (386, 374, 362, 263))
    ]
    both = (wide[0] + wide[1]) / 2
    lips = np.linalg.norm(still[:, 13] - still[:, 14], axis=1)
    corners = np.linalg.norm(still[:, 61] - still[:, 291], axis=1)
    jaw = np.linalg.norm(still[:, 152] - still[:, 1], axis=1)
    brow = np.linalg.norm(still[:, 105] - still[:, 159], axis=1)

    def along(a: Any, b: Any) -> float:
        a, b = np.diff(a), np.diff(b)
        return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-6 and b.std() > 1e-6 else 0.0

    found = []
    for series in (both, lips, corners, jaw):
        found += dynamics(series)
    found += [
        along(wide[0], wide[1]), along(lips, jaw), along(lips, corners), along(brow, both), along(lips, both),
        float(np.log(np.abs(wide[0] - wide[1]).std() + 1e-3)),
        float(np.log(both.std() + 1e-3)), float(both.min() / (np.median(both) + 1e-3)),
        float(np.log(lips.std() + 1e-3)), float(np.log(np.abs(smooth(lips, 1.0) - lips).std() + 1e-4)),
    ]  # fmt: skip
    return found


def against_background(frames: Any, inside: Any, mesh: Any) -> NDArray[np.float32]:
    """Whether what lies around a head moves as footage does: shift and change of the border, beside the head's."""
    grey = np.asarray(frames, np.float32).mean(-1)
    points = np.asarray(mesh[..., :2], np.float64)
    low, high = points.min((0, 1)), points.max((0, 1))
    mask = inside.copy()
    mask[max(0, int(low[1]) - 14) :, max(0, int(low[0]) - 14) : int(high[0]) + 14] = False
    if mask.sum() < 150:
        return np.full(8, np.nan, np.float32)
    change = np.diff(grey, axis=0)[:, mask]
    head = np.linalg.norm(np.diff(points.mean(1), axis=0), axis=1)
    per = np.sqrt((change**2).mean(1))
    energy = grey[:, mask].std(1).mean()
    still = float((np.abs(change) < 1).mean())
    second = np.diff(grey, 2, axis=0)[:, mask]
    together = np.corrcoef(per, head)[0, 1] if per.std() > 1e-6 and head.std() > 1e-6 else 0.0
    tail = np.abs(change)
    return np.array(
        [
            _log_ratio(per.mean(), energy), still, float(together),
            _log_ratio((second**2).mean(), (change**2).mean()),
            float(np.log(per.std() / (per.mean() + 0.01) + 0.01)),
            _log_ratio(head.mean(), per.mean() + 0.05),
            float(np.log((tail**4).mean() / ((tail**2).mean() ** 2 + 1e-6) + 1)),
            float((np.abs(grey[0] - grey[-1])[mask] < 2).mean()),
        ],
        np.float32,
    )  # fmt: skip
