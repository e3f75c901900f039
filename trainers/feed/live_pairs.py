"""Pairs forged when a batch asks for them, from the real crops of prepared shards.

In the data loader's workers; nothing is written ahead. Pair n is a function of (seed, n) alone, so a
resumed run forges what an uninterrupted one would have.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from trainers.config import SyntheticConfig
from trainers.feed.batches import Crops
from trainers.synthetic.forge import Face
from trainers.synthetic.pairs import ATTEMPTS, FLAT, Sitter, make_pair
from trainers.synthetic.pool import MASK_PX, PoolCrop, PoolRecord
from unmask.arrays import Floats, Images
from unmask.errors import ConfigError

PairMap = Callable[[Images, Images, Floats], Floats | None]
"""Real, forgery and blend mask -> what the forgery teaches a map branch, (64, 64); None: nothing."""
_STREAM = 3
_EVER_NEW = 1 << 62


class LivePairs:
    """Endless pairs of the reals among `crops`, people alike; swaps take another person's face.

    Raises ConfigError where there is no real, or nobody to swap with.
    """

    def __init__(
        self,
        crops: Crops,
        config: SyntheticConfig,
        *,
        seed: int,
        map_of: PairMap,
        leave_out: Iterable[str] = (),
    ) -> None:
        self.manifest_sha256 = crops.manifest_sha256
        self._crops, self._config, self._seed, self._map_of = crops, config, seed, map_of
        left_out = set(leave_out)
        people: dict[str, list[int]] = defaultdict(list)
        for index, record in enumerate(crops.records):
            if not record.label and not left_out & {record.family, record.method}:
                people[record.person].append(index)
        self._people = list(people.values())
        if not self._people:
            raise ConfigError(
                "there is no real face to forge.", fix="Name reals, or set synthetic.share=0."
            )
        if config.swap > 0 and len(self._people) == 1:
            raise ConfigError(
                "synthetic.swap wants two people, and the reals show one.",
                fix="Set synthetic.swap=0, or add reals.",
            )

    def drawn(self, rng: np.random.Generator) -> int:
        """The number of one pair: ever new, or one of `synthetic.pool`."""
        return int(rng.integers(self._config.pool or _EVER_NEW))

    def pair(self, number: int) -> tuple[PoolCrop, PoolCrop]:
        """Real and forgery of that number. Raises ConfigError where the faces cannot be forged."""
        rng = np.random.default_rng([self._seed, _STREAM, number])
        for _ in range(ATTEMPTS):
            sitting = int(rng.integers(len(self._people)))
            made = make_pair(
                partial(self._sitter, sitting),
                rng,
                self._config,
                donor=partial(self._donor, sitting),
            )
            if made is not None:
                mask = self._map_of(made.real, made.fake, made.mask)
                return (
                    _crop(made.real, made.real_fields, np.zeros((MASK_PX, MASK_PX), np.float32)),
                    _crop(made.fake, made.fake_fields, mask),
                )
        raise ConfigError(FLAT, fix="Look at the shards, or set synthetic.share=0.")

    def _donor(self, person: int, rng: np.random.Generator) -> Sitter:
        """A face of anybody else."""
        other = (person + 1 + int(rng.integers(len(self._people) - 1))) % len(self._people)
        return self._sitter(other, rng)

    def _sitter(self, person: int, rng: np.random.Generator) -> Sitter:
        crops = self._people[person]
        crop = self._crops[crops[int(rng.integers(len(crops)))]]
        x0, y0, x1, y1 = (v * crop.record.side for v in crop.record.face)
        return Sitter(
            face=Face(pixels=crop.pixels, box=(x0, y0, x1, y1)),
            person=crop.record.person,
            source=crop.record.source,
        )


def _crop(pixels: Images, fields: dict[str, Any], mask: Floats | None) -> PoolCrop:
    if mask is None:
        fields = fields | {"extent": "unknown"}
    record = PoolRecord.model_validate({**fields, "side": pixels.shape[0], "offset": 0})
    return PoolCrop(record=record, pixels=pixels, mask=mask)
