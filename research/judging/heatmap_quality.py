"""Pixel AUC of a bundle's heatmaps on the masks of unseen blended forgeries.

    python -m research.judging.heatmap_quality POOL sola=BUNDLE [efficientnet_fpn=BUNDLE]

POOL is one whose "val" pairs were forged from faces of the validation people; only blends with a
mask count (a regenerated picture has no region to find). SOLA's maps mark seams, not interiors.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from trainers.bundles.load_bundle import load_from_folder
from trainers.evaluation import metrics
from trainers.feed.batches import plain_view, window
from trainers.synthetic.pool import MASK_PX, Pool, PoolCrop
from unmask.plugin import Detector, Floats


def seen_mask(crop: PoolCrop, scale: float, side: int) -> Floats:
    """The crop's mask over the window that the plugin sees, (side, side)."""
    assert crop.mask is not None  # noqa: S101  (callers choose crops that have one)
    unit = MASK_PX / crop.record.side
    x, y, width = (v * unit for v in window(crop.record, scale, np.zeros(2)))
    step = width / side
    matrix = np.array([[step, 0, x + step / 2 - 0.5], [0, step, y + step / 2 - 0.5]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(crop.mask, matrix, (side, side), flags=flags), np.float32)


def report(detector: Detector, pool: Pool) -> metrics.HeatmapReport:
    """Heatmap quality over the pool's blends."""
    blends = [i for i, r in enumerate(pool.records) if r.label and r.extent == "blend"]
    side, scale = int(detector.input_px), detector.manifest.crop_scale  # type: ignore[attr-defined]
    maps, masks = [], []
    for start in range(0, len(blends), 16):
        crops = [pool[i] for i in blends[start : start + 16]]
        views = np.stack([plain_view(c, side, scale) for c in crops]).transpose(0, 3, 1, 2)
        opinions = detector.interpret(detector.infer(views.astype(np.float32) / 255.0))
        maps += [opinion.heatmap for opinion in opinions]
        masks += [seen_mask(c, scale, 56) for c in crops]
    threshold = detector.card.heatmap_threshold if detector.card else 0.5
    return metrics.heatmap_report(maps, masks, threshold)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path)
    parser.add_argument("bundles", nargs="+", metavar="PLUGIN=FOLDER")
    args = parser.parse_args()
    pool = Pool(args.pool, "val")
    for text in args.bundles:
        plugin, _, folder = text.partition("=")
        print(plugin, report(load_from_folder(plugin, Path(folder)), pool).model_dump_json())


if __name__ == "__main__":
    main()
