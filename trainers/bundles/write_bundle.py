"""Write weights bundles: weights.safetensors, bundle.json and MODEL_CARD.md, at once or not at all.

Calibrated bundles also get policy.toml, for `unmask scan --policy`: the thresholds of bundle.json.
"""

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
from safetensors.torch import load_file, save

from trainers.bundles.model_card import CardNotes, model_card
from unmask.bundle import (
    CARD_FILE,
    WEIGHTS_FILE,
    Abstention,
    BundleCard,
    read_card,
    sealed,
    verify_weights,
)
from unmask.errors import ConfigError

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
        packed = _packed(stored, {"format": "pt", "plugin": card.plugin})
        (fresh / WEIGHTS_FILE).write_bytes(packed)
        digest = hashlib.sha256(packed).hexdigest()
        card = sealed(card.model_copy(update={"sha256": digest}))
        _write_texts(fresh, card, notes)
        fresh.chmod(0o755)
        swap(fresh, out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return card


def _packed(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors file, the same bytes for the same tensors.

    The library writes the metadata in the order of a hash table that is seeded anew in every process.
    """
    packed: bytes = save(tensors, metadata)
    length = int.from_bytes(packed[:8], "little")
    header = json.loads(packed[8 : 8 + length])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return packed[:8] + text.ljust(length) + packed[8 + length :]


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
    card = sealed(BundleCard.model_validate({**card.model_dump(), **_plain(updates)}))
    _write_texts(folder, card, notes)
    return card


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


def copy_bundle(source: Path, out: Path) -> None:
    """The same bundle under another name, at once."""
    fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        shutil.copytree(source, fresh, dirs_exist_ok=True)
        swap(fresh, out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def swap(fresh: Path, out: Path) -> None:
    """Put `fresh` where `out` is; the folder in between carries a name nobody reads."""
    if out.exists():
        old = out.with_name(f".{out.name}-old-{os.getpid()}")
        out.rename(old)
        fresh.rename(out)
        shutil.rmtree(old)
    else:
        fresh.rename(out)


def _write_texts(folder: Path, card: BundleCard, notes: CardNotes | None) -> None:
    (folder / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / CARD_TEXT).write_text(model_card(card, notes or CardNotes()), encoding="utf-8")
    if {SUSPICIOUS, FAKE} <= set(card.thresholds):
        (folder / POLICY).write_text(policy_text(card), encoding="utf-8")


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


def _plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.model_dump() if hasattr(v, "model_dump") else v for k, v in changes.items()}
