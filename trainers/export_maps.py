"""Write manipulation maps of a trained FoCus for other networks to learn from (the FoCus loop).

    python -m trainers.train --plugin focus --data POOL --out RUN
    python -m trainers.export_maps RUN/best --data POOL --out MAPS
    python -m trainers.train --plugin efficientnet_fpn --data POOL --out RUN2 \\
        --set loss.map_source=focus --set loss.maps=MAPS

MAPS/maps.npy is (N, 14, 14) uint8 in the pool's order, zero for reals; MAPS/maps.json says of which
crops and by which weights.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from detect_plugins.focus.targets import quantised, supervision_map
from trainers.bundles.load_bundle import load_from_folder
from trainers.evaluation.cam import CAMS, layer_of
from trainers.feed.batches import Crops, plain_view
from trainers.feed.map_sources import ABOUT_FILE, MAPS_FILE, on_canvas
from trainers.feed.shard_pool import ShardPool, open_pool
from unmask.errors import ConfigError
from unmask.plugin import Detector

BATCH = 32


def export_maps(
    detector: Detector, pool: Crops, out: Path, *, drawn_by: str = "focus"
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Maps of every forged crop, over the window that the plugin would see. (N, h, w) uint8.

    `drawn_by`: focus for the network's own fusion maps, gradcam or scorecam for those of its classifier.
    """
    network = detector.network  # type: ignore[attr-defined]
    input_px = int(detector.config.input_px)  # type: ignore[attr-defined]
    cells = int(detector.config.map_px)  # type: ignore[attr-defined]
    scale = detector.manifest.crop_scale
    maps = np.zeros((len(pool), cells, cells), np.uint8)
    forged = [i for i, record in enumerate(pool.records) if record.label]
    for start in range(0, len(forged), BATCH):
        part = forged[start : start + BATCH]
        views = np.stack([plain_view(pool[i], input_px, scale) for i in part])
        image = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255.0
        if drawn_by == "focus":
            with torch.inference_mode():
                fused = network(image).aux["fusion_map"].float()
        else:
            fused = CAMS[drawn_by](network, layer_of(detector.manifest.key, network), image)
        maps[part] = quantised(supervision_map(fused, torch.ones(len(part))))[:, 0].numpy()
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / MAPS_FILE, maps, allow_pickle=False)
    about = {
        "pool_manifest_sha256": pool.manifest_sha256,
        "weights_sha256": detector.card.sha256 if detector.card else "untrained",
        "drawn_by": drawn_by,
        "crop_scale": scale,
        "maps": len(maps),
        "forged": len(forged),
    }
    (out / ABOUT_FILE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return maps


def write_pictures(
    maps: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], pool: Crops, scale: float, out: Path
) -> None:
    """OUT/KEY.png, grey, over the whole crop: for trainers of PCL, LTTD or CADDM (FoCus Table III)."""
    if not isinstance(pool, ShardPool):
        raise ConfigError("only crops of prepared shards have keys.", fix="Prepare shards first.")
    for index, record in enumerate(pool.records):
        if record.label:
            drawn = on_canvas(np.asarray(maps[index], np.float32), record, scale, record.side)
            cv2.imwrite(str(out / f"{pool.key(index)}.png"), np.rint(drawn).astype(np.uint8))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--drawn-by", choices=("focus", *CAMS), default="focus")
    parser.add_argument(
        "--pictures", action="store_true",
        help="also OUT/KEY.png per forged crop of shards, for networks that are not here",
    )  # fmt: skip
    args = parser.parse_args()
    pool = open_pool(args.data, args.split)
    detector = load_from_folder("focus", args.bundle)
    maps = export_maps(detector, pool, args.out, drawn_by=args.drawn_by)
    if args.pictures:
        write_pictures(maps, pool, detector.manifest.crop_scale, args.out)
    print(
        f"{args.out}: {len(maps)} maps, {int((maps > 0).any(axis=(1, 2)).sum())} of them not empty"
    )


if __name__ == "__main__":
    main()
