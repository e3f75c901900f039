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

import numpy as np
import torch

from detect_plugins.focus.targets import quantised, supervision_map
from trainers.bundles.load_bundle import load_from_folder
from trainers.feed.batches import Crops, plain_view
from trainers.feed.map_sources import ABOUT_FILE, MAPS_FILE
from trainers.feed.shard_pool import open_pool
from unmask.plugin import Detector

BATCH = 32


def export_maps(
    detector: Detector, pool: Crops, out: Path
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Maps of every forged crop, over the window that the plugin would see. (N, h, w) uint8."""
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
        with torch.inference_mode():
            fused = network(image).aux["fusion_map"].float()
        maps[part] = quantised(supervision_map(fused, torch.ones(len(part))))[:, 0].numpy()
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / MAPS_FILE, maps, allow_pickle=False)
    about = {
        "pool_manifest_sha256": pool.manifest_sha256,
        "weights_sha256": detector.card.sha256 if detector.card else "untrained",
        "crop_scale": scale,
        "maps": len(maps),
        "forged": len(forged),
    }
    (out / ABOUT_FILE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return maps


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    maps = export_maps(
        load_from_folder("focus", args.bundle), open_pool(args.data, args.split), args.out
    )
    print(
        f"{args.out}: {len(maps)} maps, {int((maps > 0).any(axis=(1, 2)).sum())} of them not empty"
    )


if __name__ == "__main__":
    main()
