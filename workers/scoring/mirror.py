"""Every face scored twice, as it is and mirrored: a mirrored upload then gets the same verdict.

The networks are trained on both, but not to agree. The mean of the two is the same for a face and
for its mirror image, map included, at twice the cost of inference.
"""

import numpy as np

from unmask.plugin import Floats, RawOutput
from workers.scoring.scorer import Infers


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
            p=_mean(one.p, other.p),
            maps=_mean(one.maps, other.maps[..., ::-1]),
            ood=None if one.ood is None or other.ood is None else _mean(one.ood, other.ood),
        )


def _mean(one: Floats, other: Floats) -> Floats:
    # Addition of two commutes to the last bit: a picture and its mirror image get equal numbers.
    mean: Floats = ((one + other) * np.float32(0.5)).astype(np.float32)
    return mean
