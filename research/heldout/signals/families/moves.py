"""Optical flow of a face in its picture: what is left of it beside the head's own motion. One vector per run."""

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from research.heldout.signals.families.face_parts import OVAL, grown, masks_of, polygon

SIDE = 96
FRAMES = 20
_FEW = 25


def flows(frames: NDArray[np.uint8]) -> tuple[Any, Any, Any]:
    """(T, S, S, 3) -> luma at 96 px (T, ...), flow to the next frame (T - 1, 96, 96, 2) and back."""
    grey = np.stack(
        [
            cv2.resize(
                cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA
            )
            for f in frames
        ]
    )
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    there = [finder.calc(a, b, None) for a, b in pairwise(grey)]
    back = [finder.calc(b, a, None) for a, b in pairwise(grey)]
    return grey.astype(np.float32), np.stack(there), np.stack(back)


def own_motion(flow: Any, mask: Any) -> Any:
    """An affine motion fitted to `flow` (96, 96, 2) on `mask`, everywhere."""
    y, x = np.nonzero(mask)
    base = np.stack([np.ones(len(x)), x - SIDE / 2, y - SIDE / 2], 1)
    fit, *_ = np.linalg.lstsq(base, flow[y, x], rcond=None)
    yy, xx = np.mgrid[:SIDE, :SIDE]
    return np.stack([np.ones_like(xx), xx - SIDE / 2, yy - SIDE / 2], -1) @ fit


def _log(a: Any, b: Any, least: float = 0.02) -> float:
    return float(np.log((a + least) / (b + least)))


def moves(frames: NDArray[np.uint8], mesh: Any, inside: Any) -> NDArray[np.float32]:
    """Ratios alone, so that how much somebody moves is not what is told."""
    frames, mesh = frames[:FRAMES], mesh[:FRAMES]
    grey, there, back = flows(frames)
    points = mesh[..., :2].astype(np.float64) * SIDE / frames.shape[1]
    within = cv2.resize(inside.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) > 0
    masks = masks_of(points.mean(0), within)
    oval = polygon(points.mean(0)[OVAL], SIDE) & within
    masks["inner edge"] = oval & ~grown(oval, -4)
    masks["outer edge"] = grown(oval, 4) & ~oval & within
    yy, xx = np.mgrid[:SIDE, :SIDE]
    masks["below"] = masks["ring"] & (yy > points[:, 152, 1].mean())
    names = [n for n in masks if masks[n].sum() >= _FEW]
    grid = np.stack([xx, yy], -1).astype(np.float32)
    per: dict[str, list[list[float]]] = {n: [] for n in masks}
    edge, left = [], []
    rest_before: Any = None
    for n in range(len(there)):
        flow = there[n]
        rest = flow - own_motion(flow, oval if oval.sum() >= _FEW else within)
        warped = cv2.remap(back[n], grid + flow, None, cv2.INTER_LINEAR)
        loop = np.linalg.norm(flow + warped, axis=-1)
        moved = cv2.remap(grey[n + 1], grid + flow, None, cv2.INTER_CUBIC)
        unexplained = np.abs(moved - grey[n])
        change = np.abs(grey[n + 1] - grey[n])
        size, raw = np.linalg.norm(rest, axis=-1), np.linalg.norm(flow, axis=-1)
        rough = np.zeros_like(size)
        rough[:-1, :-1] = np.abs(np.diff(flow, axis=0))[:, :-1].sum(-1) + np.abs(
            np.diff(flow, axis=1)
        )[:-1].sum(-1)
        jump = (
            np.zeros_like(size)
            if rest_before is None
            else np.linalg.norm(rest - rest_before, axis=-1)
        )
        rest_before = rest
        for name in names:
            m = masks[name]
            per[name].append(
                [float(q[m].mean()) for q in (raw, size, loop, unexplained, change, rough, jump)]
            )
        if "inner edge" in names and "outer edge" in names:
            a, b = flow[masks["inner edge"]].mean(0), flow[masks["outer edge"]].mean(0)
            edge.append(
                [float(np.linalg.norm(a - b)), float(np.linalg.norm(a)), float(np.linalg.norm(b))]
            )
        left.append(float(np.linalg.norm(flow[oval].mean(0))) if oval.any() else 0.0)
    found: list[float] = []
    skin = np.array(per["skin"]) if "skin" in names else None
    for name in ("skin", "mouth", "eyes", "ring", "back", "below"):
        if name not in names or skin is None:
            found += [np.nan] * 14
            continue
        v = np.array(per[name])
        raw, size, loop, unexplained, change, rough, jump = v.mean(0)
        jump = v[1:, 6].mean()
        found += [
            _log(size, raw), _log(loop, raw), _log(unexplained, change, 0.2), _log(rough, raw), _log(jump, size),
            _log(v[:, 1].std(), size), _log(v[:, 3].std(), unexplained, 0.2), _log(np.percentile(v[:, 3], 90), unexplained, 0.2),
            _log(np.abs(np.diff(v[:, 3])).mean(), v[:, 3].std(), 0.1), _log(np.abs(np.diff(v[:, 1])).mean(), v[:, 1].std()),
            _log(raw, skin[:, 0].mean()), _log(unexplained, skin[:, 3].mean(), 0.2), _log(size, skin[:, 1].mean()),
            _together(v[:, 0], skin[:, 0]) if name != "skin" else _log(np.abs(np.diff(left)).mean(), np.mean(left)),
        ]  # fmt: skip
    if edge:
        e = np.array(edge)
        found += [_log(e[:, 0].mean(), e[:, 1].mean()), _together(e[:, 1], e[:, 2])]
        found.append(_log(np.abs(np.diff(e[:, 0])).mean(), e[:, 0].mean()))
    else:
        found += [np.nan] * 3
    return np.array(found, np.float32)


def _together(a: Any, b: Any) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-6 and b.std() > 1e-6 else 0.0
