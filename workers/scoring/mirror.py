"""Every face scored twice, as it is and mirrored: a mirrored upload then gets the same verdict.

The networks are trained on both, but not to agree. The mean of the two is the same for a face and
for its mirror image, map included, at twice the cost of inference. Scores are averaged as logits, as
plugins are: near 0 and 1 a mean of probabilities would follow the less certain of the two.
"""

import numpy as np

from unmask.plugin import Floats, RawOutput
from workers.scoring.scorer import Infers

#: Probabilities are kept so far from 0 and 1: half the step that scores are written down in.
_EDGE = np.float32(5e-6)


class MirrorAverage:
    """An engine that gives the mean of another's answers to a picture and to its mirror image."""

    def __init__(self, engine: Infers) -> None:
        self._engine = engine
        self.name = f"{engine.name}+mirror"

    def infer(self, images: Floats) -> RawOutput:
        """(B, 3, S, S) float32 in 0..1 -> scores and maps; the mirror image's map is turned back."""
        one = self._engine.infer(images)
        other = self._engine.infer(np.ascontiguousarray(images[..., ::-1]))
        return RawOutput(
            p=mean_p(one.p, other.p),
            maps=mean(one.maps, other.maps[..., ::-1]),
            ood=None if one.ood is None or other.ood is None else mean(one.ood, other.ood),
        )


def mean(one: Floats, other: Floats) -> Floats:
    """Half of both. Addition of two commutes to the last bit: pictures and their mirror images get
    equal numbers."""
    found: Floats = ((one + other) * np.float32(0.5)).astype(np.float32)
    return found


def mean_p(one: Floats, other: Floats) -> Floats:
    """Probabilities, averaged as logits; float32.

    >>> [round(float(p), 3) for p in mean_p(np.float32([0.5, 0.9]), np.float32([0.5, 0.1]))]
    [0.5, 0.5]
    """
    logit = mean(_logit(one), _logit(other))
    found: Floats = (1.0 / (1.0 + np.exp(-logit))).astype(np.float32)
    return found


def _logit(p: Floats) -> Floats:
    inside = np.clip(p, _EDGE, np.float32(1.0) - _EDGE)
    found: Floats = np.log(inside / (np.float32(1.0) - inside)).astype(np.float32)
    return found
