"""What a held-out set measured for faces of one size, obeyed where the policy asks for it. Pure.

A bundle (or a combination) holds operating points over all faces, `fpr_0.05_overall`, and where there
were enough reals the same for a band of face sizes, `fpr_0.05|face_px=96-192`. A probability of a face
in that band is moved so that the band's point comes to lie on the overall one: a policy's threshold
then lets the same share of reals through in the band as overall. ADR 7 says why.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from workers.verdicts.arithmetic.probability import logit, sigmoid

_OVERALL = "_overall"
_FACE_PX = "|face_px="


class Condition(NamedTuple):
    """A band of face sizes, with how its operating points move to those over all faces."""

    name: str
    """As bundles write it: "face_px=96-192"."""
    anchors: tuple[tuple[float, float], ...]
    """Logits: of the band's point, and of the same point over all; both rising."""

    def moved(self, p: float) -> float:
        """`p` of a face in the band, comparable with that of any face. Never falls as `p` rises.

        Beyond the outer points it moves as far as they do, in logits.

        >>> half_to_more = Condition("face_px=0-96", ((logit(0.5), logit(0.7)),))
        >>> round(half_to_more.moved(0.5), 6)
        0.7
        """
        x = logit(p)
        low, high = self.anchors[0], self.anchors[-1]
        if x <= low[0]:
            return sigmoid(x + low[1] - low[0])
        if x >= high[0]:
            return sigmoid(x + high[1] - high[0])
        for (x0, y0), (x1, y1) in zip(self.anchors, self.anchors[1:], strict=False):
            if x <= x1:
                return sigmoid(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
        raise AssertionError("the anchors rise")  # pragma: no cover


def condition_of(face_px: float, points: Mapping[str, float]) -> Condition | None:
    """The measured band that a face of this size lies in; None where there is none.

    `points` are a bundle's thresholds. Points that the band and the whole do not both have, and what
    is no band of face sizes, are passed over.
    """
    bands: dict[str, list[tuple[float, float]]] = {}
    for key, value in points.items():
        name, found, text = key.partition(_FACE_PX)
        overall = points.get(f"{name}{_OVERALL}")
        low, _, high = text.partition("-")
        if found and overall is not None and _inside(face_px, low, high):
            bands.setdefault(text, []).append((logit(value), logit(overall)))
    if not bands:
        return None
    text = min(bands)
    return Condition(f"{_FACE_PX[1:]}{text}", _rising(bands[text]))


def _inside(face_px: float, low: str, high: str) -> bool:
    try:
        return float(low) <= face_px < (float(high) if high else math.inf)
    except ValueError:
        return False


def _rising(anchors: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Sorted; of two points at one place in the band the lower goal stays: rather no alarm."""
    kept: list[tuple[float, float]] = []
    for x, y in sorted(anchors):
        if not kept or (x > kept[-1][0] and y >= kept[-1][1]):
            kept.append((x, y))
    return tuple(kept)
