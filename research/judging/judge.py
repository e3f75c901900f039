"""Score bundles over the validation set, through the workers' own per-track aggregation.

    python -m research.judging.judge VAL sola=BUNDLE efficientnet_fpn=BUNDLE --out judged.json

Also prints what costs no training: chance, and a blur-only score (the variance of the Laplacian).
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from research.pools.validation_set import CropSet, JudgedCrop
from trainers.bundles.load_bundle import load_from_folder
from trainers.evaluation.score_crops import aggregation_of
from unmask.bundle import Aggregation
from unmask.frozen import Frozen
from unmask.plugin import Detector, FaceCrop
from unmask.policy import DEFAULT
from workers.scoring.mirror import mean_p
from workers.verdicts.arithmetic.track_score import METHODS

BATCH = 16


class JudgedFace(Frozen):
    """One crop's scores."""

    track: int
    p: float
    ood: float | None


class JudgedClip(Frozen):
    """One clip at one quality, judged by one plugin."""

    plugin: str
    clip: str
    family: str
    method: str
    label: int
    people: tuple[str, ...]
    quality: str
    raw: float | None
    """As the workers aggregate it: the most suspicious track. None: no track could be judged."""
    mean: float
    """Plain mean of its frames."""
    face_px: float
    """Median."""
    ood: float | None
    """Median over faces."""
    faces: tuple[JudgedFace, ...]


JUDGED = TypeAdapter(tuple[JudgedClip, ...])


def aggregated(
    faces: Sequence[JudgedFace],
    sizes: dict[int, float],
    aggregation: Aggregation = DEFAULT.aggregation,
) -> float | None:
    """Most suspicious of the tracks that are long and large enough to judge.

    Abstention is left out here, so that its share can be reported beside the figures.
    """
    tracks: dict[int, list[float]] = defaultdict(list)
    for face in faces:
        tracks[face.track].append(face.p)
    able = [
        METHODS[aggregation][1](p)
        for track, p in tracks.items()
        if len(p) >= DEFAULT.min_track_faces and sizes[track] >= DEFAULT.min_face_px
    ]
    return max(able, default=None)


def judge(
    plugin: str,
    detector: Detector | None,
    crops: CropSet,
    qualities: Sequence[str] = (),
    aggregation: Aggregation | None = None,
) -> list[JudgedClip]:
    """Every clip of the set, at these qualities (none named: all), averaged over the mirror image as
    workers do by default. `detector` None: blur alone.

    `aggregation` None: as the detector's bundle says, or the default policy.
    """
    way = aggregation or (aggregation_of(detector) if detector else DEFAULT.aggregation)
    judged = []
    for clip, quality, members in crops.clips():
        if qualities and quality not in qualities:
            continue
        found = [crops.face_crop(member) for member in members]
        p, ood = _blur(found) if detector is None else both_ways(detector, found)
        faces = tuple(
            JudgedFace(track=m.meta.track_id, p=round(float(a), 5), ood=b)
            for m, a, b in zip(members, p, ood, strict=True)
        )
        known = [b for b in ood if b is not None]
        first = members[0]
        judged.append(
            JudgedClip(
                plugin=plugin,
                clip=clip,
                family=first.family,
                method=first.method,
                label=first.label,
                people=first.people,
                quality=quality,
                raw=aggregated(faces, _sizes(members), way),
                mean=float(np.mean(p)),
                face_px=float(np.median([m.meta.face_px for m in members])),
                ood=float(np.median(known)) if known else None,
                faces=faces,
            )
        )
    return judged


def _sizes(members: Sequence[JudgedCrop]) -> dict[int, float]:
    sizes: dict[int, list[float]] = defaultdict(list)
    for member in members:
        sizes[member.meta.track_id].append(member.meta.face_px)
    return {track: float(np.median(px)) for track, px in sizes.items()}


def scores_of(
    detector: Detector, found: Sequence[FaceCrop], *, mirrored: bool = False
) -> tuple[NDArray[np.float32], list[float | None]]:
    """Frame scores of these crops, or of their mirror images, and how strange each is; in order."""
    p: list[NDArray[np.float32]] = []
    ood: list[float | None] = []
    for start in range(0, len(found), BATCH):
        images = detector.prepare(found[start : start + BATCH]).images
        raw = detector.infer(np.ascontiguousarray(images[..., ::-1]) if mirrored else images)
        p.append(raw.p)
        ood += [None] * len(raw.p) if raw.ood is None else [float(v) for v in raw.ood]
    return np.concatenate(p), ood


def both_ways(
    detector: Detector, found: Sequence[FaceCrop]
) -> tuple[NDArray[np.float32], list[float | None]]:
    """As `scores_of`, averaged over the mirror image."""
    p, ood = scores_of(detector, found)
    mirrored_p, mirrored_ood = scores_of(detector, found, mirrored=True)
    strange = [
        None if one is None or other is None else (one + other) / 2.0
        for one, other in zip(ood, mirrored_ood, strict=True)
    ]
    return mean_p(p, mirrored_p), strange


def _blur(found: Sequence[FaceCrop]) -> tuple[NDArray[np.float32], list[float | None]]:
    """Sharper faces score lower: 1 / (1 + variance of the Laplacian / 100) at 224 px."""
    scores = []
    for crop in found:
        grey = cv2.cvtColor(crop.pixels, cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, (224, 224), interpolation=cv2.INTER_AREA)
        scores.append(1.0 / (1.0 + float(cv2.Laplacian(grey, cv2.CV_64F).var()) / 100.0))
    return np.array(scores, np.float32), [None] * len(scores)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("bundles", nargs="*", metavar="NAME[:PLUGIN]=FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--blur", action="store_true", help="add the blur-only score")
    args = parser.parse_args()
    crops = CropSet(args.set)
    judged: list[JudgedClip] = []
    if args.blur:
        judged += judge("blur", None, crops)
    for text in args.bundles:
        name, _, folder = text.partition("=")
        label, _, plugin = name.partition(":")
        judged += judge(label, load_from_folder(plugin or label, Path(folder)), crops)
        print(f"{label}: {len([j for j in judged if j.plugin == label])} clips", flush=True)
    args.out.write_bytes(JUDGED.dump_json(tuple(judged)))
    print(json.dumps({"clips": len(judged), "out": str(args.out)}))


if __name__ == "__main__":
    main()
