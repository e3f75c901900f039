"""Pairs into a pool: draw a face, forge it, send both halves through the same codec passage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trainers.config import SyntheticConfig
from trainers.synthetic.codec import Passage, draw_passage, passed
from trainers.synthetic.forge import Face, forge
from trainers.synthetic.generated import Rebuild
from trainers.synthetic.pool import PoolWriter

_ATTEMPTS = 50


@dataclass(frozen=True, kw_only=True)
class Sitter:
    """A face with whom it shows and where it comes from."""

    face: Face
    person: str
    source: str


Draw = Callable[[np.random.Generator], Sitter]


def write_pairs(
    writer: PoolWriter,
    draw: Draw,
    count: int,
    rng: np.random.Generator,
    config: SyntheticConfig,
    *,
    rebuilds: Sequence[Rebuild] = (),
    first_number: int = 0,
) -> None:
    """Append `count` real faces with their forgeries, numbered from `first_number`.

    Raises ValueError where the faces leave nothing to forge (flat pictures).
    """
    weights = np.array([config.self_blend, config.swap, config.generated])
    weights = weights / weights.sum()
    number, failures = first_number, 0
    while number < first_number + count:
        sitter = draw(rng)
        # The donor is drawn first, so that a swap never falls back to another family.
        swap = rng.random() < weights[1]
        donor = draw(rng).face if swap else None
        rest = weights[0] + weights[2]
        shares = (0.0, 1.0, 0.0) if swap else (weights[0] / rest, 0.0, weights[2] / rest)
        pair = forge(sitter.face, rng, donor=donor, rebuilds=rebuilds, shares=shares)
        if pair is None:
            failures += 1
            if failures > _ATTEMPTS * (number - first_number + 1):
                raise ValueError("no forgery changed these faces visibly: are they flat pictures?")
            continue
        passage = draw_passage(rng) if rng.random() < config.codec else Passage(kind="none")
        side = sitter.face.pixels.shape[0]
        shared = {
            "source": sitter.source,
            "person": sitter.person,
            "pair": number,
            "quality": f"{passage.kind}{passage.quality or ''}",
            "face": [v / side for v in sitter.face.box],
        }
        for label, pixels in ((0, pair.real), (1, pair.fake)):
            sent = passed(pixels, passage)
            square = min(sent.shape[:2])
            writer.add(
                sent[:square, :square],
                pair.mask if label else None,
                label=label,
                family=pair.family if label else "real",
                method=pair.region if label else "real",
                extent=("whole" if pair.family == "generated" else "blend") if label else "real",
                **shared,
            )
        number += 1
