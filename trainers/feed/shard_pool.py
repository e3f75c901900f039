"""Prepared shards in the shape in which training and validation read crops.

open_pool(folder, "train")      a pool of blended crops, or prepared shards, whichever it holds
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from trainers.config import TrainConfig, expand
from trainers.feed.batches import Crops
from trainers.shards.files import MANIFEST, CropRecord, ShardSet
from trainers.synthetic.pool import Pool, PoolCrop, PoolRecord
from unmask.errors import ConfigError
from unmask.plugin import Images


class ShardPool:
    """Crops of one split of one or several prepared folders; stands in for a Pool."""

    full_masks = True
    """Masks come at the crop's own size."""

    def __init__(self, shards: ShardSet, split: str) -> None:
        self._shards = shards
        self._indices = [
            i for i, record in enumerate(shards.records) if split in ("all", record.split)
        ]
        self.records = [_pool_record(shards.stored[i].record) for i in self._indices]
        self.manifest_sha256 = shards.manifest_sha256
        if not self.records:
            found = sorted({record.split for record in shards.records})
            raise ConfigError(
                f"no crops of split {split!r} in these shards, only of {', '.join(found) or 'none'}.",
                fix="Prepare that split too (trainers/prepare.py --split).",
            )

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[PoolCrop]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> PoolCrop:
        crop = self._shards[self._indices[index]]
        mask = None
        if crop.mask is not None:
            mask = (crop.mask > 127).astype(np.float32)
        return PoolCrop(record=self.records[index], pixels=crop.pixels, mask=mask, binary=True)

    def key(self, index: int) -> str:
        """The crop's name in its shard."""
        return self._shards.records[self._indices[index]].key

    def original(self, index: int) -> Images | None:
        """The same square of a forgery's original, where `prepare --keep-originals` stored it."""
        return self._shards[self._indices[index]].original


def open_pool(folder: Path, split: str) -> "Pool | ShardPool":
    """The crops of one split in `folder`: prepared shards (also in its subfolders), else a pool.

    Raises ConfigError where it holds neither.
    """
    if (folder / MANIFEST).is_file():
        return ShardPool(ShardSet(folder), split)
    prepared = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    if prepared:
        return ShardPool(ShardSet(*prepared), split)
    return Pool(folder, split)


def config_pool(config: TrainConfig, part: Literal["train", "val"]) -> ShardPool:
    """The shards that a config's data sources name, prepared or not: then ConfigError says how."""
    sources = config.data.train if part == "train" else config.data.val
    if not sources:
        raise ConfigError(f"{config.name} names no data.{part}.", fix="Name it, or pass --data.")
    unnamed = [source.dataset for source in sources if not source.shards]
    if unnamed:
        raise ConfigError(
            f"{config.name}: data.{part} {unnamed[0]!r} names no shards folder.",
            fix='Add shards = "FOLDER" to it.',
        )
    folders = [expand(source.shards) for source in sources]
    missing = [folder for folder in folders if not (folder / MANIFEST).is_file()]
    if missing:
        raise ConfigError(
            f"{config.name}: no finished shards in {missing[0]}.",
            fix="Run `python -m trainers.prepare --config CONFIG`; `--dry-run` says what it needs.",
        )
    for folder in folders:
        _check_margin(config, folder)
    return ShardPool(ShardSet(*folders), "all")


def _check_margin(config: TrainConfig, folder: Path) -> None:
    """Raise ConfigError where the shards were cut narrower than the config looks."""
    needed = (config.crop_scale or 0.0) * config.data.crop_jitter[1]
    plan = json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("plan", {})
    held = float(plan.get("crop_scale", needed))
    if held < needed:
        raise ConfigError(
            f"{folder} holds crops of {held:g} faces; {config.name} looks at {needed:g}: what lies "
            "beyond would be a mirror image.",
            fix="Prepare them again: `python -m trainers.prepare --config CONFIG --restart`.",
        )


def check_classes(pool: Crops, synthetic_share: float = 0.0) -> None:
    """Raise ConfigError where there is one class only: nothing can be learnt from it.

    Reals alone will do where every forgery is to be made from them.
    """
    labels = {record.label for record in pool.records}
    if labels == {0} and synthetic_share == 1.0:
        return
    if len(labels) < 2:
        only = "reals" if labels == {0} else "forgeries"
        raise ConfigError(
            f"the training data holds {only} only ({len(pool.records)} crops).",
            fix="Add the other class, or train on blended forgeries (synthetic.share = 1.0).",
        )


def _pool_record(record: CropRecord) -> PoolRecord:
    meta = record.meta
    extent: Literal["real", "blend", "unknown"] = "real"
    if record.label:
        extent = "blend" if record.mask in ("official", "difference") else "unknown"
    x0, y0, x1, y1 = (v / meta.width for v in meta.box)
    return PoolRecord(
        label=1 if record.label else 0,
        family=record.method,
        method=record.method,
        source=record.video,
        person=record.identity[0] if record.identity else record.video,
        quality=record.dataset,
        extent=extent,
        face=(x0, y0, x1, y1),
        side=meta.width,
        offset=0,
    )
