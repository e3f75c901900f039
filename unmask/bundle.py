"""The weights bundle's card, bundle.json: what trainers write, workers obey, `unmask plugins` lists.

A bundle is a folder with weights.safetensors, bundle.json and MODEL_CARD.md. Nothing is unpickled.
"""

import hashlib
import json
import stat
import struct
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from unmask.errors import BundleRefused
from unmask.frozen import Frozen
from unmask.system.hashing import rest_sha256

WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "bundle.json"
Finds = Literal["any", "pasted", "generated"]
"""Which forgeries weights were taught: faces pasted into real footage (swaps, lip sync, blends), faces that
a generator drew whole (animated portraits, reenactments, GAN faces), or both."""
Aggregation = Literal["track-mean-top20", "track-lower-quartile", "confident-scaled"]
_MAX_CARD_BYTES = 4 << 20
_MAX_HEADER_BYTES = 16 << 20


class Calibration(Frozen):
    """From an aggregated raw score to a probability, fitted on the held-out set that it names."""

    method: Literal["platt", "isotonic"]
    fitted_on: str
    """Name of the held-out set, with its size."""
    slope: float = 1.0
    """platt: p = sigmoid(slope * logit(raw) + intercept)."""
    intercept: float = 0.0
    xs: tuple[float, ...] = ()
    """isotonic: raw scores, ascending; linear between, clamped outside."""
    ys: tuple[float, ...] = ()
    """isotonic: probabilities at xs, never falling."""


class Abstention(Frozen):
    """When a plugin should say nothing: its out-of-distribution score against a limit."""

    method: Literal["mahalanobis"]
    """Distance of the pooled features from the training features' mean, diagonal covariance."""
    limit: float = Field(gt=0.0, allow_inf_nan=False)
    """Above it the plugin abstains on that face."""
    tensor_mean: str = "ood.mean"
    tensor_scale: str = "ood.scale"


class NetworkFacts(Frozen):
    """What network the weights fill: a plugin's architecture has sizes."""

    trunk: str
    """As the plugin's config calls it, e.g. efficientnet_lite0."""
    parameters: int = Field(gt=0)
    gmacs: float = Field(gt=0.0)
    """Multiply-accumulates of one image through the serving graph, in 1e9."""
    map_px: int = Field(gt=0)
    """Side of its maps."""


class BundleCard(Frozen):
    """bundle.json. `architecture` is validated by the plugin's own config class."""

    format: Literal[1] = 1
    plugin: str
    plugin_version: str
    name: str
    """For people, e.g. "sola-fast demonstration weights, 2026-11"."""
    created: str
    """ISO date."""
    trained: bool = True
    """False for random weights: scored only with --allow-untrained."""
    no_signal: bool = False
    """True where the weights told forged from real no better than chance on the set that they were
    calibrated on, and were exported all the same: every verdict says so."""
    architecture: dict[str, Any]
    network: NetworkFacts | None = None
    """None in bundles of before this was measured."""
    taught_by: str = ""
    """What taught the network where a face was changed, e.g. "masks of blended forgeries"."""
    map_caption: str = ""
    """What the map of these very weights shows; empty: the manifest's caption holds."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of weights.safetensors."""
    dtype: Literal["float32", "float16", "bfloat16"]
    """On disk; networks run in float32 unless an engine says otherwise."""
    data: tuple[str, ...] = ()
    """Training sets, one line each."""
    licences: tuple[str, ...] = ()
    """Terms that follow the weights."""
    metrics: dict[str, float | str | None] = Field(default_factory=dict)
    calibration: Calibration | None = None
    thresholds: dict[str, float] = Field(default_factory=dict)
    """Operating points on the calibrated probability, e.g. {"fpr_0.05": 0.61}."""
    heatmap_scale: float = Field(default=1.0, gt=0.0)
    """Raw maps are divided by it and clamped to 0..1: one constant, never per image."""
    heatmap_threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    combination_weight: float = Field(default=1.0, ge=0.0)
    """Weight of this plugin's logit where several plugins are combined."""
    finds: Finds = "any"
    """Plugins that look for the same are averaged; of the kinds, the likelier counts."""
    aggregation: Aggregation | None = None
    """How a track's frame scores become the one that `calibration` was fitted to; None: as the policy says."""
    abstention: Abstention | None = None
    git_revision: str = ""
    data_manifest_sha256: str = ""
    training: dict[str, Any] = Field(default_factory=dict)
    """Full config, seed, steps, hours, machine."""
    seal: str = ""
    """sha256 over all else in this card, so that a changed threshold is noticed; empty in cards of before.
    It is no signature: whoever may write the card can seal it anew."""


def sealed(card: BundleCard) -> BundleCard:
    """The card with the seal that fits it. Defaults are left out, so that later fields break none."""
    text = card.model_dump_json(exclude={"seal"}, exclude_defaults=True)
    return card.model_copy(update={"seal": hashlib.sha256(text.encode()).hexdigest()})


def read_card(folder: Path, plugin: str) -> BundleCard:
    """Read and check `folder`/bundle.json without touching the weights. Raises BundleRefused."""
    path = folder / CARD_FILE
    try:
        if _size(path, plugin) > _MAX_CARD_BYTES:
            raise BundleRefused(plugin, f"{path} is over {_MAX_CARD_BYTES} bytes.")
        card = BundleCard.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleRefused(
            plugin,
            f"no readable bundle card at {path} ({error.strerror}).",
            fix="Point UNMASK_WEIGHTS_DIR at a folder written by trainers/export.py.",
        ) from error
    except ValidationError as error:
        raise BundleRefused(
            plugin,
            f"{path} is not a bundle card: {error.errors()[0]['msg']}.",
            fix="Export the bundle again with trainers/export.py.",
        ) from error
    if card.plugin != plugin:
        raise BundleRefused(plugin, f"{path} belongs to plugin {card.plugin!r}.")
    if card.seal and card != sealed(card):
        raise BundleRefused(
            plugin,
            f"{path} was changed after it was written: its seal does not fit.",
            fix="Export the bundle again, or remove `seal` from it if the change was yours.",
        )
    return card


def _size(path: Path, plugin: str) -> int:
    """Of a plain file that not everybody may write. Raises OSError, BundleRefused."""
    for each in (path.parent, path):
        if stat.S_IMODE(each.stat().st_mode) & 0o002:
            raise BundleRefused(
                plugin, f"everybody may write to {each}.", fix=f"Run `chmod -R o-w {path.parent}`."
            )
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise BundleRefused(plugin, f"{path} is no file.")
    return found.st_size


def verify_weights(folder: Path, card: BundleCard) -> Path:
    """Check that the weights file is well-formed safetensors with the card's hash.

    Returns its path. Raises BundleRefused: a pickle renamed, a truncated or an altered file never
    reaches a loader.
    """
    path = folder / WEIGHTS_FILE
    fix = "Fetch or export the bundle again; never load weights from a source you do not trust."
    try:
        size = _size(path, card.plugin)
        with path.open("rb") as file:
            prefix = file.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
            if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
                raise BundleRefused(card.plugin, f"{path} is not a safetensors file.", fix=fix)
            header = json.loads(file.read(length))
            ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
            if 8 + length + max(ends, default=0) != size:
                raise BundleRefused(card.plugin, f"{path} is truncated or padded.", fix=fix)
            file.seek(0)
            digest = rest_sha256(file)
    except OSError as error:
        raise BundleRefused(card.plugin, f"{path}: {error.strerror}.", fix=fix) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise BundleRefused(card.plugin, f"{path} has no safetensors header.", fix=fix) from error
    if digest != card.sha256:
        raise BundleRefused(
            card.plugin,
            f"{path} has sha256 {digest[:12]}..., its card says {card.sha256[:12]}....",
            fix=fix,
        )
    return path
