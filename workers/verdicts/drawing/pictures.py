"""Write the evidence pictures of a verdict, while the crops are still in the stream."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from redis import Redis

from ingest.crop_store import PixelsElsewhere, PixelsGone
from unmask import queues
from unmask.geometry import Affine, Box, shares
from unmask.messages import DIGITS, MediaInfo
from unmask.plugin import FaceCrop
from unmask.system.private_files import private_folder, write_private
from unmask.verdict import Evidence, NormalisedBox
from workers.scoring.entry import Entry, decode
from workers.verdicts.drawing.evidence import Choice
from workers.verdicts.drawing.heatmaps import decode_map, on_crop, overlay, png

log = structlog.get_logger(__name__)


def folder(data_dir: Path, job_id: str, generation: int) -> Path:
    """Where the pictures of one verdict are kept."""
    return data_dir / "evidence" / job_id / str(generation)


def paint(
    redis: "Redis",
    choices: Sequence[Choice],
    maps: Callable[[Choice], bytes | None],
    media: MediaInfo,
    into: Path,
) -> tuple[Evidence, ...]:
    """Draw and save two pictures a choice; a choice whose pixels or map are gone is left out."""
    entries: dict[str, Entry | None] = {}
    painted = []
    for choice in choices:
        entry_id = choice.score.entry_id
        if entry_id not in entries:
            entries[entry_id] = _entry(redis, entry_id)
        face = _face(entries[entry_id], choice)
        raw = maps(choice)
        if face is None or raw is None:
            log.warning("evidence.gone", entry=entry_id, plugin=choice.score.plugin.key)
            continue
        _save(choice, face, raw, into)
        painted.append(_evidence(choice, media))
    return tuple(painted)


def _entry(redis: "Redis", entry_id: str) -> Entry | None:
    found: Any = redis.xrange(queues.CROPS, entry_id, entry_id)
    try:
        return decode(*found[0]) if found else None
    except (PixelsGone, PixelsElsewhere) as error:
        log.warning("evidence.pixels_gone", entry=entry_id, error=str(error))
        return None


def _face(entry: Entry | None, choice: Choice) -> FaceCrop | None:
    if entry is None:
        return None
    pairs = zip(entry.batch.crops, entry.crops, strict=True)
    return next((crop for meta, crop in pairs if meta.key == choice.score.crop.key), None)


def _save(choice: Choice, face: FaceCrop, raw: bytes, into: Path) -> None:
    score = choice.score
    private_folder(into)
    plain = into / choice.face_name
    if not plain.is_file():
        write_private(plain, png(face.pixels))
    heatmap = decode_map(raw, score.map_height, score.map_width)
    drawn = overlay(face.pixels, on_crop(heatmap, score.map_to_frame, score.crop))
    write_private(into / choice.heatmap_name, png(drawn))


def _evidence(choice: Choice, media: MediaInfo) -> Evidence:
    score = choice.score
    crop = score.crop
    whole = (0.0, 0.0, float(crop.width), float(crop.height))
    return Evidence(
        track_id=crop.track_id,
        frame_index=crop.frame_index,
        pts_ms=crop.pts_ms,
        box=normalised(crop.box, crop.crop_to_frame, media),
        crop_box=normalised(whole, crop.crop_to_frame, media),
        plugin=score.plugin.key,
        p=choice.p,
        face_url=f"evidence/{choice.face_name}",
        heatmap_url=f"evidence/{choice.heatmap_name}",
        caption=choice.caption,
        counts=choice.counts,
        note=choice.note,
    )


def normalised(box: Box, to_frame: Affine, media: MediaInfo) -> NormalisedBox:
    """A box in crop pixels as shares of the frame, corner by corner."""
    x0, y0, x1, y1 = shares(box, to_frame, media.width, media.height)
    return (round(x0, DIGITS), round(y0, DIGITS), round(x1, DIGITS), round(y1, DIGITS))
