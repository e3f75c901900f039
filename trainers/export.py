"""Turn a training checkpoint into the bundle that ships, checked by reloading it.

    python -m trainers.export RUN/best --out detect_plugins/sola/weights --dtype float16 \\
        --calibration calibration.json --evaluation evaluation.json --name "sola-fast, 2026-11"

`train.py` writes its best and last checkpoints as bundles too; what ships is also cast, calibrated,
described, and compared with the checkpoint before it takes its place.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from trainers.bundles.load_bundle import load_from_folder
from trainers.bundles.model_card import CardNotes
from trainers.bundles.write_bundle import reexport, swap
from trainers.calibrate import Fitted, coinciding
from trainers.evaluation.score_crops import aggregation_of, score_crops, video_scores
from trainers.evaluation.scores import VideoScore, read_scores
from trainers.shards.files import MANIFEST, ShardSet
from unmask.bundle import (
    CARD_FILE,
    WEIGHTS_FILE,
    Aggregation,
    Finds,
)
from unmask.errors import BundleRefused, ConfigError
from workers.engines.parity import fixed_crops


def compare_scores(
    plugin: str, expected: NDArray[np.floating], got: NDArray[np.floating], tolerance: float
) -> float:
    """Largest |dp| between evaluation and the exported bundle. Raises BundleRefused over tolerance."""
    if expected.shape != got.shape:
        raise BundleRefused(plugin, f"{got.shape[0]} scores against {expected.shape[0]} expected.")
    worst = float(np.abs(expected - got).max()) if expected.size else 0.0
    if not worst <= tolerance:
        raise BundleRefused(
            plugin,
            f"the exported bundle's scores differ by up to {worst:.4f}, over {tolerance:g}.",
            fix="Export as float32, or check that the evaluated checkpoint is the exported one.",
        )
    return worst


def verify_bundle(
    folder: Path,
    plugin: str,
    images: NDArray[np.float32],
    expected_p: NDArray[np.floating],
    *,
    tolerance: float = 1e-2,
) -> float:
    """Reload `folder` through the workers' own loader and score `images` (B,3,S,S) again.

    Returns the largest |dp|. Raises BundleRefused over `tolerance`.
    """
    detector = load_from_folder(plugin, folder)
    got = [detector.infer(images[i : i + 8]).p for i in range(0, len(images), 8)]
    return compare_scores(plugin, expected_p, np.concatenate(got), tolerance)


def verify_evaluation(
    folder: Path,
    plugin: str,
    scores: Sequence[VideoScore],
    shards: ShardSet,
    *,
    videos: int = 50,
    tolerance: float = 1e-2,
) -> float:
    """Score the first `videos` of an evaluation again with the bundle at `folder`.

    Returns the largest difference of a video's raw score. Raises BundleRefused over `tolerance`, or
    where the shards do not hold the evaluated videos.
    """
    detector = load_from_folder(plugin, folder)
    crops = shards.by_video()
    chosen = [score for score in scores if score.key in crops][:videos]
    if not chosen:
        raise BundleRefused(
            plugin,
            "none of the evaluated videos is in these shards.",
            fix="Pass the shards that evaluation.json was made from.",
        )
    indices = [i for score in chosen for i in crops[score.key]]
    scored = score_crops(shards, indices, detector, detector, with_maps=False)
    again = video_scores(scored, aggregation_of(detector))
    expected = np.array([score.raw for score in chosen])
    return compare_scores(plugin, expected, np.array([v.raw for v in again]), tolerance)


def data_and_terms(folders: Sequence[Path]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What shards were made of, one line each, and the terms that follow whatever they train.

    Raises ConfigError where a folder holds no finished shards.
    """
    data, terms = [], set[str]()
    for folder in folders:
        try:
            tree = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"no finished shards in {folder} ({error.strerror}).") from error
        plan, counts = tree["plan"], tree["counts"]
        level = f" {plan['compression']}" if plan["compression"] else ""
        data.append(
            f"{tree['description']['title']}{level}, split {plan['split']}: "
            f"{counts['videos']} videos, {counts['crops']} crops"
        )
        terms |= set(tree["licences"])
    return tuple(data), tuple(sorted(terms))


def refuse_no_signal(fitted: Fitted, allowed: bool) -> None:
    """Raise ConfigError where the calibration says that the weights know nothing."""
    if _knows_nothing(fitted) and not allowed:
        raise ConfigError(
            "these weights tell forged from real no better than chance on the set that they were "
            f"calibrated on ({fitted.calibration.fitted_on}).",
            fix="Calibrate better weights; --no-signal exports these, and every verdict then says so.",
        )


def _knows_nothing(fitted: Fitted) -> bool:
    """Calibrations of before this was asked hold no count of reals: there equal points are enough."""
    asked = fitted.reals > 0 or fitted.calibration.method == "isotonic"
    return fitted.no_signal or (not asked and bool(coinciding(fitted.thresholds, 1000)))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: a training checkpoint in, the shipped bundle out, verified."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="bundle folder written by train.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16")
    parser.add_argument("--name", help="for people; default: the checkpoint's")
    parser.add_argument("--calibration", type=Path, help="written by trainers/calibrate.py")
    parser.add_argument("--evaluation", type=Path, help="written by trainers/evaluate.py")
    parser.add_argument("--heatmap-scale", type=float)
    parser.add_argument("--heatmap-threshold", type=float)
    parser.add_argument("--combination-weight", type=float)
    parser.add_argument(
        "--aggregation", choices=get_args(Aggregation), help="of a track; default: the policy's"
    )
    parser.add_argument("--finds", choices=get_args(Finds), help="kind of forgery it was taught")
    parser.add_argument(
        "--notes", type=Path, help="JSON with fields of trainers.bundles.model_card.CardNotes"
    )
    parser.add_argument(
        "--no-signal", action="store_true", help="export weights that know nothing, and say so"
    )
    parser.add_argument("--tolerance", type=float, default=1e-2)
    parser.add_argument(
        "--shards", type=Path, nargs="+", help="score the evaluation's videos again"
    )
    parser.add_argument("--train-shards", type=Path, nargs="+", help="name their data and terms")
    args = parser.parse_args(argv)
    if args.shards and not args.evaluation:
        parser.error("--shards checks an --evaluation: name it")
    plugin = json.loads((args.checkpoint / CARD_FILE).read_text(encoding="utf-8"))["plugin"]
    updates: dict[str, Any] = {}
    for field in (
        "name",
        "heatmap_scale",
        "heatmap_threshold",
        "combination_weight",
        "finds",
        "aggregation",
    ):
        if getattr(args, field) is not None:
            updates[field] = getattr(args, field)
    if args.calibration:
        fitted = Fitted.model_validate_json(args.calibration.read_bytes())
        updates |= {"calibration": fitted.calibration, "thresholds": fitted.thresholds}
        refuse_no_signal(fitted, args.no_signal)
        updates["no_signal"] = _knows_nothing(fitted)
    if args.evaluation:
        updates["metrics"] = json.loads(args.evaluation.read_text(encoding="utf-8"))["headline"]
    if args.train_shards:
        updates["data"], updates["licences"] = data_and_terms(args.train_shards)
    notes = CardNotes.model_validate_json(args.notes.read_bytes()) if args.notes else None
    before = load_from_folder(plugin, args.checkpoint)
    images = fixed_crops(int(getattr(before, "input_px", before.manifest.input_px)), 8)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=args.out.parent) as room:
        # Verified before it is put in its place: a refused bundle never replaces a good one.
        fresh = Path(room) / "bundle"
        card = reexport(
            args.checkpoint,
            fresh,
            plugin=plugin,
            dtype=args.dtype,
            updates=updates,
            notes=notes,
            keep_fp32=before.manifest.fp32_fronts,
        )
        expected = before.infer(images).p
        worst = verify_bundle(fresh, plugin, images, expected, tolerance=args.tolerance)
        if args.shards:
            scores, shards = read_scores(args.evaluation), ShardSet(*args.shards)
            again = verify_evaluation(fresh, plugin, scores, shards, tolerance=args.tolerance)
            worst = max(worst, again)
        swap(fresh, args.out)
    size = (args.out / WEIGHTS_FILE).stat().st_size / 1e6
    print(
        f"{args.out}: {card.dtype}, {size:.1f} MB, sha256 {card.sha256[:12]}, |dp| <= {worst:.1e}"
    )


if __name__ == "__main__":
    main()
