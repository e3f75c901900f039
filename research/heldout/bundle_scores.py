"""Scores that installed bundles give the stored crops: what weights from before are worth on the same folds.

python -m research.heldout.bundle_scores CROPS... --bundle sola=FOLDER --out OLD.npz
"""

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from research.heldout.stored.cut import SCALE
from research.heldout.stored.packed_crops import unpacked
from research.heldout.unseen_clips import COUNTED
from trainers.bundles.load_bundle import load_from_folder
from unmask.system.safe_openvino import ov
from workers.scoring.mirror import mean_p


def view(stored: NDArray[np.uint8], scale: float, side: int) -> NDArray[np.uint8]:
    """A stored crop (side = 1.55 faces) cut to `scale` faces, mirrored beyond its edge, at `side` pixels."""
    px = stored.shape[0]
    wanted = max(2, round(px * scale / SCALE))
    if wanted > px:
        pad = (wanted - px + 1) // 2
        stored = np.asarray(
            cv2.copyMakeBorder(stored, pad, pad, pad, pad, cv2.BORDER_REFLECT_101), np.uint8
        )
    left = (stored.shape[0] - wanted) // 2
    cut = stored[left : left + wanted, left : left + wanted]
    how = cv2.INTER_AREA if wanted > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cut, (side, side), interpolation=how), np.uint8)


def read_plugin(folder: Path) -> str:
    """Whose bundle a folder holds."""
    return str(json.loads((folder / "bundle.json").read_text(encoding="utf-8"))["plugin"])


def _both_ways(net: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Averaged over the mirror image, as workers do by default."""
    ways = (images, np.ascontiguousarray(images[..., ::-1]))
    one, other = (np.asarray(next(iter(net(way).values())), np.float32).ravel() for way in ways)
    return mean_p(one, other)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crops", type=Path, nargs="+")
    parser.add_argument("--bundle", action="append", required=True, metavar="PLUGIN=FOLDER")
    parser.add_argument(
        "--only", type=Path, help="a file that names clips, one a line; default: all"
    )
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    unseen = set(args.only.read_text(encoding="utf-8").split()) if args.only else set()
    nets = {}
    for text in args.bundle:
        name, _, folder = text.partition("=")
        plugin = read_plugin(Path(folder))
        detector: Any = load_from_folder(plugin, Path(folder))
        side = detector.input_px
        model = ov.convert_model(
            detector.serving(),
            example_input=torch.zeros(1, 3, side, side),
            input=[-1, 3, side, side],
        )
        compiled = ov.compile_model(
            model, "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        )
        nets[name] = (compiled, detector.manifest.crop_scale, side)
    rows: list[dict[str, Any]] = []
    found: dict[str, list[Any]] = {name: [] for name in nets}
    for folder in args.crops:
        source = (folder / "crops.bin").read_bytes()
        lines = [json.loads(line) for line in (folder / "crops.jsonl").read_text().splitlines()]
        wanted = [
            r
            for r in lines
            if (not unseen or r["path"] in unseen)
            and r["step"] == -1
            and r["moment"] in COUNTED.get(r["quality"], ())
        ]
        for start in range(0, len(wanted), 32):
            part = wanted[start : start + 32]
            stored = [unpacked(source[r["offset"] : r["offset"] + r["length"]]) for r in part]
            for plugin, (net, scale, side) in nets.items():
                x = (
                    np.stack([view(s, scale, side) for s in stored])
                    .transpose(0, 3, 1, 2)
                    .astype(np.float32)
                    / 255.0
                )
                found[plugin].append(_both_ways(net, x))
            rows += [
                {k: r[k] for k in ("path", "label", "moment", "step", "quality", "face_px", "px")}
                for r in part
            ]
            if start % 160 == 0:
                print(folder, start, len(wanted), flush=True)
    arrays: dict[str, Any] = {name: np.concatenate(v) for name, v in found.items()}
    np.savez(args.out, rows=json.dumps(rows), **arrays)


if __name__ == "__main__":
    main()
