"""Video AUC of bundles under seven distortions at five levels, on the validation set's clips as found.

    python -m research.judging.robustness_grid VAL sola=BUNDLE [efficientnet_fpn=BUNDLE] [--frames 4]

Distortions are applied to the face crops before a plugin sees them (trainers/evaluation/robustness.py). One row per
plugin and distortion, levels 1 to 5 side by side, the undistorted figure first.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from research.pools.validation_set import CropSet, JudgedCrop
from trainers.bundles.load_bundle import load_from_folder
from trainers.evaluation import metrics
from trainers.evaluation.robustness import DISTORTIONS, LEVELS, distort
from unmask.plugin import Detector, FaceCrop

BATCH = 16


def picked(crops: CropSet, frames: int) -> list[JudgedCrop]:
    """Up to `frames` crops of every clip as found, spread over it."""
    kept: list[JudgedCrop] = []
    for _, quality, members in crops.clips():
        if quality == "found":
            count = min(frames, len(members))
            kept += [members[int((n + 0.5) * len(members) / count)] for n in range(count)]
    return kept


def video_auc(
    detector: Detector, crops: CropSet, members: list[JudgedCrop], kind: str | None, level: int
) -> float:
    """AUC over clips' mean scores, with every crop distorted; `kind` None leaves them as they are."""
    scores: dict[str, list[float]] = defaultdict(list)
    labels = {member.clip: float(member.label) for member in members}
    for start in range(0, len(members), BATCH):
        part = members[start : start + BATCH]
        faces = [
            _distorted(crops.face_crop(member), kind, level, seed=start + n)
            for n, member in enumerate(part)
        ]
        p = detector.infer(detector.prepare(faces).images).p
        for member, value in zip(part, p, strict=True):
            scores[member.clip].append(float(value))
    clips = sorted(scores)
    means = np.array([np.mean(scores[clip]) for clip in clips])
    return metrics.auc(np.array([labels[clip] for clip in clips]), means)


def _distorted(crop: FaceCrop, kind: str | None, level: int, *, seed: int) -> FaceCrop:
    if kind is None:
        return crop
    pixels = distort(np.array(crop.pixels), kind, level, seed)
    return FaceCrop(pixels=pixels, box=crop.box, crop_to_frame=crop.crop_to_frame)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", type=Path)
    parser.add_argument("bundles", nargs="+", metavar="PLUGIN=FOLDER")
    parser.add_argument("--frames", type=int, default=4, help="of every clip")
    args = parser.parse_args()
    crops = CropSet(args.set)
    members = picked(crops, args.frames)
    print("| plugin | distortion | none | " + " | ".join(str(level) for level in LEVELS) + " |")
    print("|---" * (len(LEVELS) + 3) + "|")
    for text in args.bundles:
        plugin, _, folder = text.partition("=")
        detector = load_from_folder(plugin, Path(folder))
        clean = video_auc(detector, crops, members, None, 0)
        for kind in DISTORTIONS:
            row = [video_auc(detector, crops, members, kind, level) for level in LEVELS]
            cells = " | ".join(f"{value:.2f}" for value in row)
            print(f"| {plugin} | {kind} | {clean:.2f} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
