"""Does a bundle abstain on what it cannot judge? Cartoons, heavy blur, 20-px faces, pages of text.

    python -m research.judging.strange_inputs VAL sola=BUNDLE [efficientnet_fpn=BUNDLE]

Each is made from the validation set's real faces (text: drawn), one crop per clip. Prints the share of
crops beyond the bundle's limit, and that of the untouched crops beside it.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from research.pools.validation_set import CropSet
from trainers.bundles.load_bundle import load_from_folder
from unmask.arrays import Images
from unmask.plugin import Detector, FaceCrop


def cartoon(pixels: Images) -> Images:
    """Flat colours and black outlines."""
    flat = pixels
    for _ in range(4):
        flat = np.asarray(cv2.bilateralFilter(flat, 9, 60, 9), np.uint8)
    flat = (flat // 48 * 48 + 24).astype(np.uint8)
    grey = cv2.medianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), 5)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 3)
    return np.asarray(cv2.bitwise_and(flat, flat, mask=lines), np.uint8)


def heavy_blur(pixels: Images) -> Images:
    """A Gaussian of 5 % of the crop."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.05 * pixels.shape[0]), np.uint8)


def tiny_face(pixels: Images) -> Images:
    """A face of 20 px, enlarged."""
    small = cv2.resize(pixels, (32, 32), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, pixels.shape[:2], interpolation=cv2.INTER_CUBIC), np.uint8)


def text_page(pixels: Images) -> Images:
    """Dark lines of text on white, no face at all."""
    side = pixels.shape[0]
    page = np.full((side, side, 3), 250, np.uint8)
    for line, y in enumerate(range(12, side, 14)):
        words = " ".join("the quick brown fox jumps over it"[(line * 5) % 20 :].split() * 4)
        cv2.putText(
            page, words, (4, y), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (20, 20, 20), 1, cv2.LINE_AA
        )
    return page


KINDS: dict[str, Callable[[Images], Images]] = {
    "as it is": lambda pixels: pixels,
    "cartoon": cartoon,
    "heavy blur": heavy_blur,
    "20-px face": tiny_face,
    "page of text": text_page,
}


def shares(detector: Detector, crops: CropSet, limit: float) -> dict[str, float]:
    """Share of crops beyond the limit, by kind."""
    first = [
        crops.face_crop(members[len(members) // 2])
        for _, quality, members in crops.clips()
        if quality == "found" and members[0].label == 0
    ]
    found: dict[str, float] = {}
    for kind, change in KINDS.items():
        changed = [
            FaceCrop(pixels=change(np.array(c.pixels)), box=c.box, crop_to_frame=c.crop_to_frame)
            for c in first
        ]
        ood: list[float] = []
        for start in range(0, len(changed), 16):
            raw = detector.infer(detector.prepare(changed[start : start + 16]).images)
            ood += [] if raw.ood is None else [float(v) for v in raw.ood]
        found[kind] = float(np.mean(np.array(ood) > limit))
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("bundles", nargs="+", metavar="PLUGIN=FOLDER")
    args = parser.parse_args()
    crops = CropSet(args.set)
    print("| plugin | " + " | ".join(KINDS) + " |")
    print("|---" * (len(KINDS) + 1) + "|")
    for text in args.bundles:
        plugin, _, folder = text.partition("=")
        detector = load_from_folder(plugin, Path(folder))
        card = detector.card
        limit = card.abstention.limit if card and card.abstention else float("inf")
        found = shares(detector, crops, limit)
        print(f"| {plugin} | " + " | ".join(f"{found[kind]:.2f}" for kind in KINDS) + " |")


if __name__ == "__main__":
    main()
