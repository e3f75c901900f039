"""Write weights bundles: weights.safetensors, bundle.json and MODEL_CARD.md, checked by reloading.

Calibrated bundles also get policy.toml, for `unmask scan --policy`: the thresholds of bundle.json.

    python -m trainers.export RUN/best --out detect_plugins/sola/weights --dtype float16 \\
        --calibration calibration.json --evaluation evaluation.json --name "sola-fast, 2026-11"

`train.py` calls `write_bundle` for its best and last checkpoints; this command turns one of them
into the bundle that ships.
"""

import argparse
import datetime
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from detect_plugins.catalogue import load_catalogue, load_class
from trainers.bundles.model_card import CardNotes, model_card
from trainers.calibrate import Fitted
from trainers.evaluation.score_crops import score_crops, video_scores
from trainers.evaluation.scores import VideoScore, read_scores
from trainers.shards.files import MANIFEST, ShardSet
from unmask.bundle import (
    CARD_FILE,
    WEIGHTS_FILE,
    Abstention,
    BundleCard,
    read_card,
    verify_weights,
)
from unmask.errors import BundleRefused, ConfigError
from unmask.plugin import Detector
from workers.engines.parity import fixed_crops

DType = Literal["float32", "float16"]
CARD_TEXT = "MODEL_CARD.md"
POLICY = "policy.toml"
SUSPICIOUS, FAKE = "fpr_0.05", "fpr_0.01"
"""Operating points that the bundle's own policy acts on."""


def write_bundle(
    out: Path,
    tensors: Mapping[str, torch.Tensor],
    card: BundleCard,
    *,
    notes: CardNotes | None = None,
    keep_fp32: Sequence[str] = (),
) -> BundleCard:
    """Write the bundle folder `out` at once (a reader sees the old one or the new one, no mixture).

    `tensors` is a network's state_dict, with ood.mean and ood.scale where it abstains; `card.sha256`
    is overwritten with the file's own. `keep_fp32`: names of submodules that stay float32 in a
    float16 bundle (a manifest's fp32_fronts), as the high-pass fronts must; vectors (norms, biases,
    statistics) always stay: halving them saves nothing and running variances underflow.
    Raises ConfigError on tensors that are not finite, also after the cast.
    """
    stored = {name: _stored(name, t, card.dtype, keep_fp32) for name, t in tensors.items()}
    broken = [n for n, t in stored.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise ConfigError(
            f"{len(broken)} tensors are not finite, first {broken[0]!r}.",
            fix="Export as float32, or go back to a checkpoint before the loss broke.",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        save_file(stored, fresh / WEIGHTS_FILE, metadata={"format": "pt", "plugin": card.plugin})
        digest = hashlib.sha256((fresh / WEIGHTS_FILE).read_bytes()).hexdigest()
        card = card.model_copy(update={"sha256": digest})
        _write_texts(fresh, card, notes)
        fresh.chmod(0o755)
        _swap(fresh, out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return card


def _write_texts(folder: Path, card: BundleCard, notes: CardNotes | None) -> None:
    (folder / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / CARD_TEXT).write_text(model_card(card, notes or CardNotes()), encoding="utf-8")
    if {SUSPICIOUS, FAKE} <= set(card.thresholds):
        (folder / POLICY).write_text(policy_text(card), encoding="utf-8")


def draft_card(
    *,
    plugin: str,
    plugin_version: str,
    name: str,
    architecture: dict[str, Any],
    dtype: DType = "float32",
    **more: Any,
) -> BundleCard:
    """A card with today's date and the source's git revision; `more` are fields of BundleCard."""
    more.setdefault("created", datetime.date.today().isoformat())
    more.setdefault("git_revision", git_revision())
    return BundleCard(
        plugin=plugin,
        plugin_version=plugin_version,
        name=name,
        architecture=architecture,
        dtype=dtype,
        sha256="0" * 64,
        **more,
    )


def policy_text(card: BundleCard) -> str:
    """A policy (TOML) whose thresholds are the bundle's: suspicious from 5 % false alarms, fake 1 %.

    For this plugin alone: plugins together have a calibration of their own.
    """
    suspicious = card.thresholds[SUSPICIOUS]
    fake = max(suspicious, card.thresholds[FAKE])
    return (
        f"# Thresholds of {card.name}: false alarms on {card.calibration.fitted_on}.\n"
        if card.calibration
        else f"# Thresholds of {card.name}.\n"
    ) + (
        f'id = "{card.plugin}-{SUSPICIOUS}-{FAKE}"\nversion = "{card.sha256[:12]}"\n'
        f"suspicious_at = {suspicious!r}\nfake_at = {fake!r}\n"
        '# conditions = "face_px"  # keep these false alarms at each face size that was measured\n'
    )


def git_revision() -> str:
    """Revision of the checkout this file is in, "-dirty" appended; empty outside a checkout."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    revision = git("rev-parse", "HEAD")
    dirty = revision and git("status", "--porcelain", "--untracked-files=no")
    return f"{revision}-dirty" if dirty else revision


def read_bundle(folder: Path, plugin: str) -> tuple[BundleCard, dict[str, torch.Tensor]]:
    """Card and tensors of a bundle, hash checked. Raises BundleRefused."""
    card = read_card(folder, plugin)
    return card, load_file(verify_weights(folder, card))


def reexport(
    source: Path,
    out: Path,
    *,
    plugin: str,
    dtype: DType = "float16",
    updates: Mapping[str, Any] | None = None,
    ood: tuple[NDArray[np.floating], NDArray[np.floating], Abstention] | None = None,
    notes: CardNotes | None = None,
    keep_fp32: Sequence[str] = (),
) -> BundleCard:
    """The bundle at `source`, cast to `dtype`, with card fields updated, written to `out`."""
    card, tensors = read_bundle(source, plugin)
    changes: dict[str, Any] = {"dtype": dtype, **(updates or {})}
    if ood is not None:
        mean, scale, abstention = ood
        tensors[abstention.tensor_mean] = torch.from_numpy(np.asarray(mean, np.float32))
        tensors[abstention.tensor_scale] = torch.from_numpy(np.asarray(scale, np.float32))
        changes["abstention"] = abstention
    fresh = BundleCard.model_validate({**card.model_dump(), **_plain(changes)})
    return write_bundle(out, tensors, fresh, notes=notes, keep_fp32=keep_fp32)


def restate(
    folder: Path, plugin: str, updates: Mapping[str, Any], notes: CardNotes | None = None
) -> BundleCard:
    """Change what a bundle says of its weights, not the weights. Raises BundleRefused."""
    card = read_card(folder, plugin)
    card = BundleCard.model_validate({**card.model_dump(), **_plain(updates)})
    _write_texts(folder, card, notes)
    return card


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
    again = video_scores(score_crops(shards, indices, detector, detector, with_maps=False))
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


def load_from_folder(plugin: str, folder: Path | None, device: str = "cpu") -> Detector:
    """The catalogue's plugin loaded with the bundle at `folder` (None: random weights)."""
    entry = load_catalogue().get(plugin)
    return load_class(entry).load(entry.require_manifest(), folder, device)


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
        "--notes", type=Path, help="JSON with fields of trainers.bundles.model_card.CardNotes"
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
    for field in ("name", "heatmap_scale", "heatmap_threshold", "combination_weight"):
        if getattr(args, field) is not None:
            updates[field] = getattr(args, field)
    if args.calibration:
        fitted = Fitted.model_validate_json(args.calibration.read_bytes())
        updates |= {"calibration": fitted.calibration, "thresholds": fitted.thresholds}
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
        _swap(fresh, args.out)
    size = (args.out / WEIGHTS_FILE).stat().st_size / 1e6
    print(
        f"{args.out}: {card.dtype}, {size:.1f} MB, sha256 {card.sha256[:12]}, |dp| <= {worst:.1e}"
    )


def _stored(name: str, tensor: torch.Tensor, dtype: str, keep_fp32: Sequence[str]) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous().clone()
    if not tensor.is_floating_point():
        return tensor
    # Manifests name fronts below the serving module, whose attribute `network` this state is of.
    fronts = [front.removeprefix("network.") for front in keep_fp32]
    front = any(name == prefix or name.startswith(f"{prefix}.") for prefix in fronts)
    if dtype == "float32" or tensor.ndim <= 1 or front:
        return tensor.float()
    return tensor.to(torch.float16 if dtype == "float16" else torch.bfloat16)


def _swap(fresh: Path, out: Path) -> None:
    """Put `fresh` where `out` is; the folder in between carries a name nobody reads."""
    if out.exists():
        old = out.with_name(f".{out.name}-old-{os.getpid()}")
        out.rename(old)
        fresh.rename(out)
        shutil.rmtree(old)
    else:
        fresh.rename(out)


def _plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.model_dump() if hasattr(v, "model_dump") else v for k, v in changes.items()}


if __name__ == "__main__":
    main()
