"""Prepared crops through a plugin and any engine: the scores that evaluation is made of."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trainers.evaluation.metrics import resize_map
from trainers.evaluation.scores import VideoScore
from trainers.shards.files import Crop, CropRecord, ShardSet, face_crop
from unmask.bundle import Aggregation
from unmask.messages import DIGITS
from unmask.plugin import Detector, FaceCrop, Floats, Images, RawOutput
from unmask.policy import DEFAULT
from workers.verdicts.arithmetic.track_score import METHODS

"""Frame scores are rounded as the workers round them."""
Change = Callable[[Images, int], Images]


class Infers(Protocol):
    """An engine, or the plugin itself as the torch reference."""

    def infer(self, images: Floats) -> RawOutput:
        """Score images (B, 3, S, S)."""
        ...


@dataclass(kw_only=True)
class CropScores:
    """Scores of a set of crops, in order."""

    records: list[CropRecord] = field(default_factory=list)
    p: list[float] = field(default_factory=list)
    ood: list[float | None] = field(default_factory=list)
    maps: list[tuple[Floats, NDArray[np.bool_]]] = field(default_factory=list)
    """Map and mask of forged crops that have one, both as the network saw them."""
    seconds: float = 0.0
    """Inside the engine."""

    @property
    def labels(self) -> list[int]:
        """1 = forged."""
        return [record.label for record in self.records]

    @property
    def videos(self) -> list[str]:
        """dataset/method/video of each crop."""
        return [record.video for record in self.records]


def score_crops(
    shards: ShardSet,
    indices: Sequence[int],
    detector: Detector,
    engine: Infers,
    *,
    change: Change | None = None,
    with_maps: bool = True,
    batch: int = 16,
) -> CropScores:
    """Prepare, infer and interpret every crop; `change(pixels, index)` distorts it first."""
    scored = CropScores()
    scale = detector.manifest.crop_scale
    for start in range(0, len(indices), batch):
        crops = [shards[i] for i in indices[start : start + batch]]
        faces = [_face(crop, scale) for crop in crops]
        if change is not None:
            faces = [
                FaceCrop(pixels=change(f.pixels, i), box=f.box, crop_to_frame=f.crop_to_frame)
                for f, i in zip(faces, indices[start : start + batch], strict=True)
            ]
        prepared = detector.prepare(faces)
        began = time.perf_counter()
        raw = engine.infer(prepared.images)
        scored.seconds += time.perf_counter() - began
        for crop, face, opinion in zip(crops, faces, detector.interpret(raw), strict=True):
            scored.records.append(crop.record)
            scored.p.append(round(opinion.p, DIGITS))
            scored.ood.append(opinion.ood)
            if with_maps and crop.record.label and crop.mask is not None:
                scored.maps.append((opinion.heatmap, _mask_seen(detector, face, crop)))
    return scored


def aggregation_of(detector: Detector) -> Aggregation:
    """How its frame scores become one: as its bundle says, else as the default policy does."""
    own = detector.card.aggregation if detector.card else None
    return own or DEFAULT.aggregation


def video_scores(scored: CropScores, aggregation: str = "track-mean-top20") -> list[VideoScore]:
    """One record per video: the workers' aggregation per track, then the most suspicious track."""
    _, aggregate = METHODS[aggregation]
    rows: dict[str, list[int]] = {}
    for index, record in enumerate(scored.records):
        rows.setdefault(record.video, []).append(index)
    videos = []
    for key, members in rows.items():
        first = scored.records[members[0]]
        tracks: dict[int, list[float]] = {}
        for i in members:
            tracks.setdefault(scored.records[i].meta.track_id, []).append(scored.p[i])
        videos.append(
            VideoScore(
                key=key,
                dataset=first.dataset,
                method=first.method,
                label=first.label,
                raw=round(max(aggregate(scores) for scores in tracks.values()), DIGITS),
                mean=float(np.mean([scored.p[i] for i in members])),
                quality=first.dataset,
                face_px=float(np.median([scored.records[i].meta.face_px for i in members])),
                frames=len(members),
            )
        )
    return videos


def spread_over_videos(shards: ShardSet, frames: int) -> list[int]:
    """At most `frames` crops of every video, spread over it."""
    chosen: list[int] = []
    for members in shards.by_video().values():
        step = max(1, len(members) // frames)
        chosen += members[::step][:frames]
    return chosen


def _face(crop: Crop, scale: float) -> FaceCrop:
    """The crop as a plugin gets it; ready-made crops narrower than `scale` are used as wide as they are."""
    face = face_crop(crop)
    if crop.record.available_scale >= scale * 0.999:
        return face
    x0, y0, x1, y1 = face.box
    shrink = crop.record.available_scale / scale
    x, y, w, h = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * shrink, (y1 - y0) * shrink
    box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    return FaceCrop(pixels=face.pixels, box=box, crop_to_frame=face.crop_to_frame)


def _mask_seen(detector: Detector, face: FaceCrop, crop: Crop) -> NDArray[np.bool_]:
    """The mask in the geometry of the network's input: cut and resized with the picture's own code."""
    assert crop.mask is not None  # noqa: S101 - asked for only where there is one
    pixels = np.repeat(crop.mask[..., None], 3, axis=2)
    as_face = FaceCrop(pixels=pixels, box=face.box, crop_to_frame=face.crop_to_frame)
    return np.asarray(detector.prepare([as_face]).images[0, 0] > 0.5)


def map_pairs(scored: CropScores) -> tuple[list[Floats], list[NDArray[np.bool_]]]:
    """Maps and masks apart, maps at the masks' size."""
    maps = [resize_map(m, *mask.shape).astype(np.float32) for m, mask in scored.maps]
    return maps, [mask for _, mask in scored.maps]
