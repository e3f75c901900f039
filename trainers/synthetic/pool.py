"""A pool of crops on disk: raw pixels in one memory-mapped file, one JSON line per crop.

Made ahead by `research/pools/build_pool.py` (a pair costs tens of milliseconds, a batch must cost
less), read by training without decoding anything.

    NAME.bin     RGB bytes of every crop, one after the other
    NAME.masks   64 x 64 bytes a mask
    NAME.jsonl   one PoolRecord per line
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from unmask.arrays import Floats, Images
from unmask.errors import ConfigError
from unmask.frozen import Frozen

MASK_PX = 64


class PoolRecord(Frozen):
    """One crop: what it shows, where it comes from, where its bytes are."""

    label: Literal[0, 1]
    family: str
    """real, or the family of the forgery: self_blend, swap, generated, lipsync, portrait, ..."""
    method: str
    source: str
    """The file it was made from."""
    person: str
    """Whom it shows, as far as known: batches are balanced over it."""
    quality: str
    """How it was encoded: found, crf23, jpeg80, ..."""
    pair: int | None = None
    """Crops of the same number are a real face and its forgery."""
    extent: Literal["real", "blend", "whole", "unknown"]
    """What is forged: a region with a seam, the whole picture, or not known to the pixel."""
    face: tuple[float, float, float, float]
    """The face box as shares of the crop's side."""
    side: int
    offset: int
    mask_offset: int | None = None


@dataclass(frozen=True, kw_only=True)
class PoolCrop:
    """One crop, read."""

    record: PoolRecord
    pixels: Images
    mask: Floats | None
    """(h, h) in 0..1 over the whole crop: 64 of a pool, the crop's own side of shards. None where it
    is not known; zero for reals."""
    binary: bool = False
    """The mask is 0 or 1 at the crop's own size, and stays so when it is resized."""


class PoolWriter:
    """Appends crops to one pool. Use as a context manager."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._pixels = (folder / f"{name}.bin").open("wb")
        self._masks = (folder / f"{name}.masks").open("wb")
        self._lines = (folder / f"{name}.jsonl").open("w", encoding="utf-8")
        self.count = 0

    def __enter__(self) -> "PoolWriter":
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._pixels, self._masks, self._lines):
            file.close()

    def add(self, pixels: Images, mask: Floats | None = None, **fields: object) -> PoolRecord:
        """Store one square crop; `fields` are PoolRecord's, without side and offsets."""
        mask_offset = None
        if mask is not None:
            small = cv2.resize(mask, (MASK_PX, MASK_PX), interpolation=cv2.INTER_AREA)
            mask_offset = self._masks.tell()
            self._masks.write((np.clip(small, 0, 1) * 255).round().astype(np.uint8).tobytes())
        record = PoolRecord.model_validate(
            {
                **fields,
                "side": pixels.shape[0],
                "offset": self._pixels.tell(),
                "mask_offset": mask_offset,
            }
        )
        self._pixels.write(np.ascontiguousarray(pixels).tobytes())
        self._lines.write(record.model_dump_json() + "\n")
        self.count += 1
        return record


class Pool:
    """All pools of a folder whose name starts with `split`. Indexing reads one crop."""

    def __init__(self, folder: Path, split: str) -> None:
        self.folder = folder
        self.records: list[PoolRecord] = []
        self._file_of: list[int] = []
        self._pixels: list[NDArray[np.uint8]] = []
        self._masks: list[NDArray[np.uint8]] = []
        digest = hashlib.sha256()
        for lines in sorted(folder.glob(f"{split}*.jsonl")):
            text = lines.read_bytes()
            digest.update(text)
            for number, line in enumerate(text.splitlines(), 1):
                try:
                    self.records.append(PoolRecord.model_validate_json(line))
                except ValidationError as error:
                    raise ConfigError(
                        f"{lines} line {number} is no pool record: {error.errors()[0]['msg']}.",
                        fix="Build the pool again with research/pools/build_pool.py.",
                    ) from error
                self._file_of.append(len(self._pixels))
            self._pixels.append(_mapped(lines.with_suffix(".bin")))
            self._masks.append(_mapped(lines.with_suffix(".masks")))
        self.manifest_sha256 = digest.hexdigest()
        if not self.records:
            raise ConfigError(
                f"no crops of split {split!r} in {folder}.",
                fix="Build a pool with research/pools/build_pool.py.",
            )

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[PoolCrop]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> PoolCrop:
        record, file = self.records[index], self._file_of[index]
        size = record.side * record.side * 3
        pixels = self._pixels[file][record.offset : record.offset + size]
        mask: Floats | None = None
        if record.mask_offset is not None:
            flat = self._masks[file][record.mask_offset : record.mask_offset + MASK_PX**2]
            mask = flat.reshape(MASK_PX, MASK_PX).astype(np.float32) / np.float32(255.0)
        elif record.label == 0:
            mask = np.zeros((MASK_PX, MASK_PX), np.float32)
        return PoolCrop(
            record=record, pixels=pixels.reshape(record.side, record.side, 3), mask=mask
        )


def _mapped(path: Path) -> NDArray[np.uint8]:
    if not path.exists() or path.stat().st_size == 0:
        return np.zeros(0, np.uint8)
    return np.memmap(path, np.uint8, "r")
