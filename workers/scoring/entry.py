"""One stream entry, as a scoring process and the evidence painter read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ingest.crop_store import pixels_of
from unmask.messages import CropBatch
from unmask.plugin import FaceCrop
from unmask.queues import FIELD_META


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A group of crops of one video. `crops` are views into the entry's bytes, never written to."""

    id: str
    batch: CropBatch
    crops: tuple[FaceCrop, ...]
    deliveries: int = 1
    """The how-manieth time this is; each before it ended with a worker's death."""

    @staticmethod
    def of(entry_id: bytes | str, batch: CropBatch, crops: Sequence[FaceCrop] = ()) -> "Entry":
        """The entry of that stream id."""
        name = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
        return Entry(id=name, batch=batch, crops=tuple(crops))


def decode(entry_id: bytes | str, fields: Mapping[bytes, bytes]) -> Entry:
    """Parse the fields of a stream entry.

    Raises ValueError where it is not one of ours; of its kinds, PixelsGone and PixelsElsewhere say
    that the entry is sound and its pixels are not here.
    """
    batch = batch_of(fields)
    pixels = pixels_of(fields)
    crops = []
    start = 0
    for meta in batch.crops:
        end = start + meta.height * meta.width * 3
        crops.append(
            FaceCrop(
                pixels=pixels[start:end].reshape(meta.height, meta.width, 3),
                box=meta.box,
                crop_to_frame=meta.crop_to_frame,
            )
        )
        start = end
    if start != len(pixels):
        raise ValueError(f"entry holds {len(pixels)} bytes of pixels, its crops need {start}")
    return Entry.of(entry_id, batch, crops)


def batch_of(fields: Mapping[bytes, bytes]) -> CropBatch:
    """What an entry says of itself, without its pixels. Raises ValueError."""
    try:
        return CropBatch.model_validate_json(fields[FIELD_META.encode()])
    except KeyError as error:
        raise ValueError(f"entry without the field {error}") from error
