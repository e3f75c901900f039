"""What the map branch is taught, other than the masks (FoCus paper, Table II).

focus             maps that `trainers/export_maps.py` wrote for exactly these crops
folder            pictures that others' networks drew, one per forged crop
ssim, pixel,      differences between a forgery and its real half; crops without one keep their
pixel-threshold   class and take no part in the map's loss
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from trainers.config import FpnLoss, TrainConfig, expand
from trainers.feed.batches import Crops, window
from trainers.feed.live_pairs import PairMap
from trainers.feed.pair_maps import MapSourceName, pair_map
from trainers.feed.shard_pool import ShardPool
from trainers.synthetic.pool import MASK_PX, PoolCrop, PoolRecord
from unmask.arrays import Floats, Images
from unmask.errors import ConfigError

MAPS_FILE, ABOUT_FILE = "maps.npy", "maps.json"


def with_maps(pool: Crops, config: TrainConfig) -> Crops:
    """The pool itself, or the pool with the config's map source in place of masks."""
    loss = config.loss
    if not isinstance(loss, FpnLoss):
        return pool
    if loss.map_source == "blend" or loss.map_source == "mask":  # noqa: PLR1714 - narrows the type
        return pool
    if loss.map_source == "focus":
        if not loss.maps:
            raise ConfigError(
                "loss.map_source is focus, and loss.maps names no folder.",
                fix="Write maps with trainers/export_maps.py, or use another map_source.",
            )
        return WithStoredMaps(pool, expand(loss.maps))
    if loss.map_source == "folder":
        if not loss.maps or not isinstance(pool, ShardPool):
            raise ConfigError(
                "loss.map_source is folder, which takes loss.maps and prepared shards.",
                fix="Name a folder of pictures called KEY.png; manifest lines of the shards have keys.",
            )
        return WithMapFolder(pool, expand(loss.maps))
    return WithPairMaps(pool, loss.map_source)


def live_map(config: TrainConfig) -> PairMap:
    """What pairs forged on the fly teach the map branch: their mask, or the config's difference.

    Nothing where the maps are FoCus's: those are written for stored crops.
    """
    source = config.loss.map_source if isinstance(config.loss, FpnLoss) else "mask"
    if source == "focus" or source == "folder":  # noqa: PLR1714 - narrows the type
        return lambda real, fake, mask: None
    if source == "blend" or source == "mask":  # noqa: PLR1714 - narrows the type
        return lambda real, fake, mask: _small(mask)
    return lambda real, fake, mask: _small(_difference(real, fake, source))


class _Wrapped:
    """A pool whose forged crops carry other maps."""

    def __init__(self, pool: Crops) -> None:
        self.pool, self.records, self.manifest_sha256 = pool, pool.records, pool.manifest_sha256
        self.full_masks = getattr(pool, "full_masks", False)

    def __len__(self) -> int:
        return len(self.pool)

    def __iter__(self) -> Iterator[PoolCrop]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> PoolCrop:
        crop = self.pool[index]
        if not crop.record.label:
            return crop
        found = self._map(index, crop)
        extent = "unknown" if found is None else "blend"
        record = crop.record.model_copy(update={"extent": extent})
        return dataclasses.replace(crop, record=record, mask=found, binary=False)

    def _map(self, index: int, crop: PoolCrop) -> Floats | None:
        raise NotImplementedError


class WithStoredMaps(_Wrapped):
    """FoCus maps: (N, 14, 14) uint8 over each crop's window, in the order of the pool."""

    def __init__(self, pool: Crops, folder: Path) -> None:
        super().__init__(pool)
        try:
            about = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
            self._maps = np.load(folder / MAPS_FILE, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"no readable maps in {folder}.", fix="Run trainers/export_maps.py."
            ) from error
        self._scale = float(about["crop_scale"])
        if about["pool_manifest_sha256"] != pool.manifest_sha256 or len(self._maps) != len(pool):
            raise ConfigError(
                f"the maps in {folder} were written for other crops.",
                fix="Run trainers/export_maps.py again on this pool.",
            )

    def _map(self, index: int, crop: PoolCrop) -> Floats | None:
        stored = np.asarray(self._maps[index], np.float32) / np.float32(255.0)
        return on_canvas(stored, crop.record, self._scale, MASK_PX)


def on_canvas(stored: Floats, record: PoolRecord, scale: float, px: int) -> Floats:
    """A map over a plugin's window, (h, h), on the whole crop drawn at (px, px); 0 beyond the window."""
    x, y, side = (v * px / record.side for v in window(record, scale, np.zeros(2)))
    step = side / stored.shape[0]
    # From cells of the stored map, whose cell 0 starts at (x, y), to canvas cells.
    to_canvas = np.array([[step, 0, x + step / 2 - 0.5], [0, step, y + step / 2 - 0.5]], np.float32)
    return np.asarray(cv2.warpAffine(stored, to_canvas, (px, px)), np.float32)


class WithMapFolder(_Wrapped):
    """Others' maps: FOLDER/KEY.png, grey, over the whole crop at any size."""

    def __init__(self, pool: ShardPool, folder: Path) -> None:
        super().__init__(pool)
        self._paths = [folder / f"{pool.key(index)}.png" for index in range(len(pool))]
        forged = [p for p, r in zip(self._paths, pool.records, strict=True) if r.label]
        missing = [path for path in forged if not path.is_file()]
        if missing:
            raise ConfigError(
                f"{len(missing)} of {len(forged)} forged crops have no map in {folder}, "
                f"first {missing[0].name}.",
                fix="Draw one grey picture per forged crop; docs/how-to/train.md says how.",
            )

    def _map(self, index: int, crop: PoolCrop) -> Floats | None:
        drawn = cv2.imread(str(self._paths[index]), cv2.IMREAD_GRAYSCALE)
        if drawn is None:
            raise ConfigError(f"{self._paths[index]} is no picture.", fix="Draw it again.")
        side = crop.record.side
        found = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_LINEAR)
        return np.asarray(found, np.float32) / np.float32(255.0)


class WithPairMaps(_Wrapped):
    """Differences to the real half of the same pair."""

    def __init__(self, pool: Crops, source: MapSourceName) -> None:
        super().__init__(pool)
        self._source = source
        self._real = {
            r.pair: i for i, r in enumerate(pool.records) if r.pair is not None and not r.label
        }

    def _original(self, index: int, crop: PoolCrop) -> Images | None:
        """The real half: of the pool's pair, or as prepared shards keep it beside the forgery."""
        if isinstance(self.pool, ShardPool):
            return self.pool.original(index)
        pair = self._real.get(crop.record.pair) if crop.record.pair is not None else None
        return None if pair is None else self.pool[pair].pixels

    def _map(self, index: int, crop: PoolCrop) -> Floats | None:
        other = self._original(index, crop)
        if other is None:
            return None
        found = _difference(other, crop.pixels, self._source)
        return found if self.full_masks else _small(found)


def _difference(real: Images, fake: Images, source: MapSourceName) -> Floats:
    found = pair_map(_tensor(real), _tensor(fake), source)[0, 0].numpy()
    return np.asarray(found, np.float32)


def _small(found: Floats) -> Floats:
    shrunk = cv2.resize(found, (MASK_PX, MASK_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(shrunk, 0.0, 1.0), np.float32)


def _tensor(pixels: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255.0
