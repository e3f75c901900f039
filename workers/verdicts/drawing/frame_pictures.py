"""One whole frame per track beside the evidence, so that a person can see whom a verdict speaks of."""

from pathlib import Path
from typing import Any

from redis import Redis

from unmask import queues
from unmask.messages import CropMeta
from unmask.system.private_files import private_folder, write_private
from unmask.verdict import TrackPicture, TrackVerdict, Verdict
from workers.verdicts.drawing.pictures import normalised


def save(
    redis: "Redis", job_id: str, generation: int, verdict: Verdict, into: Path
) -> tuple[TrackVerdict, ...]:
    """Write what ingest left behind; the verdict's tracks, each with its picture where there is one."""
    held: Any = redis.hgetall(queues.frames(job_id, generation))
    return tuple(_pictured(track, held, verdict, into) for track in verdict.tracks)


def _pictured(
    track: TrackVerdict, held: dict[bytes, bytes], verdict: Verdict, into: Path
) -> TrackVerdict:
    told, jpeg = held.get(f"{track.id}:meta".encode()), held.get(f"{track.id}:jpeg".encode())
    if told is None or jpeg is None:
        return track
    meta = CropMeta.model_validate_json(told)
    name = f"t{track.id}-frame.jpg"
    private_folder(into)
    write_private(into / name, jpeg)
    picture = TrackPicture(
        frame_index=meta.frame_index,
        pts_ms=meta.pts_ms,
        url=f"evidence/{name}",
        box=normalised(meta.box, meta.crop_to_frame, verdict.media),
    )
    return track.model_copy(update={"picture": picture})
