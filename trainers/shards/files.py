"""Prepared face crops on disk: WebDataset tar shards with a manifest line per crop.

    OUT/plan.json               what was asked for; a resumed run must ask the same
    OUT/shard-000000.tar        KEY.png [KEY.mask.png] [KEY.original.png] KEY.json ... (webdataset)
    OUT/shard-000000.jsonl      the CropRecords of that shard; written last: its presence = done
    OUT/skipped.jsonl           what could not be used, and why
    OUT/manifest.json           counts, licences, settings, sha256 of every shard

Tars are uncompressed and their offsets are recorded, so that a sampler can also read at random.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from unmask.errors import ConfigError
from unmask.frozen import Frozen
from unmask.messages import CropMeta
from unmask.plugin import FaceCrop, Images

MANIFEST = "manifest.json"
PLAN = "plan.json"
SKIPPED = "skipped.jsonl"


class CropRecord(Frozen):
    """One crop of the manifest: what it is, where it comes from, where its bytes are."""

    key: str
    """Unique stem inside the tar."""
    video: str
    """dataset/method/video."""
    dataset: str
    split: str
    method: str
    label: int
    source: str
    """Relative to the data set's root."""
    meta: CropMeta
    """Frame, PTS, track, box and crop->frame matrix, as ingest gives them."""
    mask: Literal["official", "difference", "zero", "none"]
    """zero: a real, all genuine. none: not known; the sample takes no part in mask losses."""
    identity: tuple[str, ...] = ()
    licence: str = ""
    available_scale: float
    """Side of the crop over the longer side of the face box: no wider scale can be cut from it."""


class Stored(Frozen):
    """A record with the place of its bytes in its shard."""

    record: CropRecord
    offset: int
    size: int
    mask_offset: int | None = None
    mask_size: int = 0
    original_offset: int | None = None
    original_size: int = 0


class Skipped(Frozen):
    """One thing that could not be used."""

    reason: str
    item: str
    detail: str = ""
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Crop:
    """One crop, read."""

    record: CropRecord
    pixels: Images
    """(side, side, 3) RGB."""
    mask: NDArray[np.uint8] | None
    """(side, side), 255 = forged; all zero for reals; None where it is not known."""
    original: Images | None = None
    """The same square of the paired original, where it was kept."""


def write_shard(folder: Path, number: int, crops: Iterable[Crop]) -> list[Stored]:
    """Write one tar and its sidecar; neither appears before it is whole. Bytes repeat exactly."""
    tar = folder / f"shard-{number:06d}.tar"
    records: dict[str, CropRecord] = {}
    with tarfile.open(_temporary(tar), "w", format=tarfile.USTAR_FORMAT) as archive:
        for crop in crops:
            record = crop.record
            if record.key in records:
                raise ValueError(f"two crops called {record.key}")
            records[record.key] = record
            _add(archive, f"{record.key}.png", _png(crop.pixels[..., ::-1]))
            if crop.mask is not None:
                _add(archive, f"{record.key}.mask.png", _png(crop.mask))
            if crop.original is not None:
                _add(archive, f"{record.key}.original.png", _png(crop.original[..., ::-1]))
            described = record.model_dump(mode="json") | {"cls": record.label}
            _add(archive, f"{record.key}.json", json.dumps(described).encode())
    places: dict[str, tuple[int, int]] = {}
    with tarfile.open(_temporary(tar)) as archive:
        for member in archive:
            places[member.name] = (member.offset_data, member.size)
    stored = []
    for key, record in records.items():
        offset, size = places[f"{key}.png"]
        mask_offset, mask_size = places.get(f"{key}.mask.png", (None, 0))
        original_offset, original_size = places.get(f"{key}.original.png", (None, 0))
        stored.append(
            Stored(
                record=record,
                offset=offset,
                size=size,
                mask_offset=mask_offset,
                mask_size=mask_size,
                original_offset=original_offset,
                original_size=original_size,
            )
        )
    _temporary(tar).replace(tar)
    sidecar = tar.with_suffix(".jsonl")
    lines = "".join(item.model_dump_json() + "\n" for item in stored)
    _temporary(sidecar).write_text(lines, encoding="utf-8")
    _temporary(sidecar).replace(sidecar)
    return stored


class ShardSet:
    """Every crop of one or several prepared folders, read at random by index."""

    def __init__(self, *folders: Path) -> None:
        self.stored: list[Stored] = []
        self._tar_of: list[Path] = []
        digest = hashlib.sha256()
        for folder in folders:
            manifest = folder / MANIFEST
            if not manifest.is_file():
                raise ConfigError(
                    f"no finished shards in {folder}: {MANIFEST} is missing.",
                    fix="Run trainers/prepare.py (again: it goes on where it stopped).",
                )
            digest.update(manifest.read_bytes())
            for sidecar in sorted(folder.glob("shard-*.jsonl")):
                for number, line in enumerate(sidecar.read_text(encoding="utf-8").splitlines(), 1):
                    try:
                        self.stored.append(Stored.model_validate_json(line))
                    except ValidationError as error:
                        raise ConfigError(
                            f"{sidecar}, line {number}: {error.errors()[0]['msg']}.",
                            fix="Prepare the data set again.",
                        ) from error
                    self._tar_of.append(sidecar.with_suffix(".tar"))
        self.manifest_sha256 = digest.hexdigest()
        self._open: dict[Path, NDArray[np.uint8]] = {}

    @property
    def records(self) -> list[CropRecord]:
        """In order of shards."""
        return [item.record for item in self.stored]

    def __len__(self) -> int:
        return len(self.stored)

    def __iter__(self) -> Iterator[Crop]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Crop:
        item = self.stored[index]
        pixels = self._picture(index, item.offset, item.size, cv2.IMREAD_COLOR)
        mask: NDArray[np.uint8] | None = None
        if item.mask_offset is not None:
            mask = self._picture(index, item.mask_offset, item.mask_size, cv2.IMREAD_GRAYSCALE)
        elif item.record.mask == "zero":
            mask = np.zeros(pixels.shape[:2], np.uint8)
        original = None
        if item.original_offset is not None:
            bgr = self._picture(index, item.original_offset, item.original_size, cv2.IMREAD_COLOR)
            original = np.ascontiguousarray(bgr[..., ::-1])
        rgb = np.ascontiguousarray(pixels[..., ::-1])
        return Crop(record=item.record, pixels=rgb, mask=mask, original=original)

    def by_video(self) -> dict[str, list[int]]:
        """Indices of each video's crops, in order of time."""
        videos: dict[str, list[int]] = {}
        for index, item in enumerate(self.stored):
            videos.setdefault(item.record.video, []).append(index)
        return videos

    def _picture(self, index: int, offset: int, size: int, how: int) -> NDArray[np.uint8]:
        tar = self._tar_of[index]
        if tar not in self._open:
            # Opened lazily: a data loader's workers must not share one file position.
            self._open[tar] = np.memmap(tar, np.uint8, "r")
        picture = cv2.imdecode(np.asarray(self._open[tar][offset : offset + size]), how)
        if picture is None:
            raise ConfigError(
                f"{tar} is damaged at byte {offset}.", fix="Delete the shard and prepare again."
            )
        return np.asarray(picture, np.uint8)


def face_crop(crop: Crop) -> FaceCrop:
    """The crop as plugins are handed it."""
    meta = crop.record.meta
    return FaceCrop(pixels=crop.pixels, box=meta.box, crop_to_frame=meta.crop_to_frame)


def write_json(path: Path, tree: Any) -> None:
    """Indented JSON, replaced at once."""
    _temporary(path).write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")
    _temporary(path).replace(path)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _png(picture: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError(f"picture of shape {picture.shape} cannot be written")
    return bytes(data.tobytes())


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # no time, no owner: the same crops give the same bytes
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
