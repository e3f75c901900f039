"""Pairs into a pool: draw a face, forge it, send both halves through the same codec passage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from trainers.config import SyntheticConfig
from trainers.synthetic.codec import Passage, draw_passage, passed
from trainers.synthetic.forge import Face, forge
from trainers.synthetic.generated import Rebuild
from trainers.synthetic.pool import PoolWriter
from unmask.arrays import Floats, Images

ATTEMPTS = 50
"""Forgeries that may come out invisible, one after the other, before the faces are to blame."""
FLAT = "no forgery changed these faces visibly: are they flat pictures?"


@dataclass(frozen=True, kw_only=True)
class Sitter:
    """A face with whom it shows and where it comes from."""

    face: Face
    person: str
    source: str


Draw = Callable[[np.random.Generator], Sitter]


class MadePair(NamedTuple):
    """A real face and its forgery after the same passage, with what a pool says of both."""

    real: Images
    fake: Images
    mask: Floats
    """(h, w) in 0..1, over the same square as the pictures."""
    real_fields: dict[str, Any]
    fake_fields: dict[str, Any]


def make_pair(
    draw: Draw,
    rng: np.random.Generator,
    config: SyntheticConfig,
    *,
    donor: Draw | None = None,
    rebuilds: Sequence[Rebuild] = (),
) -> MadePair | None:
    """One pair of a drawn face; swaps take a second face from `donor`, or from `draw` too.

    None where the forgery changed too little to be seen: call again.
    Fields are PoolRecord's, without pair, side and offsets.
    """
    weights = np.array([config.self_blend, config.swap, config.generated])
    weights = weights / weights.sum()
    sitter = draw(rng)
    # The donor is drawn first, so that a swap never falls back to another family.
    swap = rng.random() < weights[1]
    other = (donor or draw)(rng).face if swap else None
    rest = weights[0] + weights[2]
    shares = (0.0, 1.0, 0.0) if swap else (weights[0] / rest, 0.0, weights[2] / rest)
    pair = forge(sitter.face, rng, donor=other, rebuilds=rebuilds, shares=shares)
    if pair is None:
        return None
    passage = draw_passage(rng, config.crf) if rng.random() < config.codec else Passage(kind="none")
    side = sitter.face.pixels.shape[0]
    shared = {
        "source": sitter.source,
        "person": sitter.person,
        "quality": f"{passage.kind}{passage.quality or ''}",
        "face": [v / side for v in sitter.face.box],
    }
    forged = {
        "label": 1,
        "family": pair.family,
        "method": pair.region,
        "extent": "whole" if pair.family == "generated" else "blend",
    }
    genuine = {"label": 0, "family": "real", "method": "real", "extent": "real"}
    return MadePair(
        real=_square(passed(pair.real, passage)),
        fake=_square(passed(pair.fake, passage)),
        mask=pair.mask,
        real_fields=genuine | shared,
        fake_fields=forged | shared,
    )


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
    number, failures = first_number, 0
    while number < first_number + count:
        made = make_pair(draw, rng, config, rebuilds=rebuilds)
        if made is None:
            failures += 1
            if failures > ATTEMPTS * (number - first_number + 1):
                raise ValueError(FLAT)
            continue
        writer.add(made.real, None, pair=number, **made.real_fields)
        writer.add(made.fake, made.mask, pair=number, **made.fake_fields)
        number += 1


def _square(picture: Images) -> Images:
    """H.264 wants even sides, and may have cut a row or a column."""
    side = min(picture.shape[:2])
    return picture[:side, :side]
