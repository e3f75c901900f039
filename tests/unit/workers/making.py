"""Values for the tests of this folder, each with only what the test says about it."""

from typing import Any

from tests.fakes import KEY, make_card
from unmask.messages import (
    Coverage,
    CropMeta,
    FaceScore,
    IngestClosed,
    MediaInfo,
    PluginRef,
    TrackSummary,
)
from workers.verdicts.plugin_verdict import PluginScores

REF = PluginRef(key=KEY, weights="0" * 12)
MEDIA = MediaInfo(
    sha256="a" * 64, size_bytes=1, container="mov", codec="h264", width=640, height=480
)


def crop(frame: int, track: int = 1, face: int = 0, **fields: Any) -> CropMeta:
    given: dict[str, Any] = {
        "frame_index": frame,
        "pts_ms": frame * 40,
        "face_index": face,
        "track_id": track,
        "width": 20,
        "height": 20,
        "box": (4.0, 4.0, 16.0, 16.0),
        "crop_to_frame": (5.0, 0.0, 100.0, 0.0, 5.0, 50.0),
        "face_px": 60.0,
        "detector_score": 0.9,
    }
    return CropMeta(**(given | fields))


def score(p: float, frame: int, track: int = 1, ref: PluginRef = REF, **fields: Any) -> FaceScore:
    given: dict[str, Any] = {"map_height": 2, "map_width": 2, "entry_id": "1-1"}
    face = fields.pop("face", track - 1)
    return FaceScore(crop=crop(frame, track, face), plugin=ref, p=p, **(given | fields))


def scores(ps: list[float], track: int = 1, ref: PluginRef = REF) -> tuple[FaceScore, ...]:
    return tuple(score(p, frame, track, ref) for frame, p in enumerate(ps))


def at_seconds(ps: list[float], step_ms: int = 1000) -> tuple[FaceScore, ...]:
    """One look per step."""
    return tuple(
        found.model_copy(update={"crop": found.crop.model_copy(update={"pts_ms": step_ms * i})})
        for i, found in enumerate(score(p, i, face=0) for i, p in enumerate(ps))
    )


def result(
    found: tuple[FaceScore, ...], ref: PluginRef = REF, card: Any = ..., **fields: Any
) -> PluginScores:
    given = {"asked": True, "version": "1.0", "engines": ("own-fp32",)}
    held = make_card(plugin=ref.key, abstention=None) if card is ... else card
    return PluginScores(ref=ref, card=held, scores=found, **(given | fields))


def closed(
    faces: dict[int, int], *, face_px: float = 120.0, frames: int | None = None, **fields: Any
) -> IngestClosed:
    """Ingest's word on a video whose track t was seen on frames 0 .. faces[t]-1."""
    sampled = max(faces.values(), default=0) if frames is None else frames
    with_face = max(faces.values(), default=0)
    given: dict[str, Any] = {
        "media": MEDIA,
        "crops": sum(faces.values()),
        "coverage": Coverage(
            decoded=sampled,
            sampled=sampled,
            scored=with_face,
            no_face=sampled - with_face,
            faces_found=sum(faces.values()),
        ),
        "tracks": tuple(
            TrackSummary(
                id=track,
                segments_ms=((0, 40 * (n - 1)),),
                faces=n,
                crops=n,
                median_face_px=face_px,
            )
            for track, n in faces.items()
        ),
        "face_detector": "test-1",
    }
    return IngestClosed(job_id="j", generation=0, **(given | fields))
