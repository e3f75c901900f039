"""The typed training configuration: one TOML file says what is trained, on what, how, and what for.

    config = load_config(Path("trainers/configs/sola-weak.toml"), ["optimiser.lr=5e-4", "steps=200"])

Paths may hold `~` and `$VARIABLES`; they are expanded by `expand`, so that a plan can still show
the text of the file. Unknown keys are refused: a misspelt loss weight never trains in silence.
"""

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from unmask.errors import ConfigError
from unmask.frozen import Frozen

#: Recipes for small pools and two cores, one per plugin: `train.py` takes these unless told.
CONFIGS = Path(__file__).parent / "configs"
SMALL = CONFIGS / "small"

Share = Annotated[float, Field(ge=0.0, le=1.0)]
MapSource = Literal["focus", "folder", "ssim", "pixel", "pixel-threshold", "blend", "mask"]


class DataSource(Frozen):
    """One named part of one data set: read by `trainers.datasets`, or as prepared shards."""

    dataset: str
    """Reader key, see `trainers.datasets.READERS` (ffpp, celebdf, dfdc, folder, manifest, ...)."""
    root: str = ""
    """Folder of the official tree (or the file, for manifests)."""
    shards: str = ""
    """Folder of prepared shards (`trainers/prepare.py`); training and evaluation read this one."""
    split: Literal["train", "val", "test", "all"] = "train"
    methods: tuple[str, ...] = ()
    """Forgery methods to keep; empty: all. Reals are always kept."""
    compression: str = ""
    """raw, c23 or c40 where the data set has such a level."""
    frames: int = Field(default=16, ge=1)
    """Frames per video, spread evenly: 16 to train, 32 to evaluate (the papers name no number)."""
    masks: Literal["official", "difference", "none"] = "difference"
    """official: the data set's own; difference: |fake - paired real| > 0.15 (LRL, section 3.3)."""
    mask_level: str = ""
    """Compression whose pairs give the difference masks; empty: `compression` itself."""
    keep_originals: bool = False
    """Keep the paired original beside each forgery, for SSIM and pixel-difference maps."""
    faces: Literal["main", "all", "single"] = "main"
    """main: the largest face of a video; single: only videos in which there is one person."""


class DataConfig(Frozen):
    """Training and validation data; empty where `train.py --data` says it."""

    train: tuple[DataSource, ...] = ()
    val: tuple[DataSource, ...] = ()
    test: tuple[DataSource, ...] = ()
    """What `trainers.reproduce` judges the trained weights on."""
    leave_out: tuple[str, ...] = ()
    """Families or methods that are not trained on, beside those of `train.py --leave-out`."""
    crop_jitter: tuple[float, float] = (0.9, 1.15)
    """Factor on the crop scale in training; 1, 1: off, as in the papers."""
    crop_shift: float = Field(default=0.04, ge=0.0, le=0.5)
    """Largest shift of the crop in training, as a share of the face's side."""


class SyntheticConfig(Frozen):
    """Forgeries made on the fly from real faces."""

    share: Share = 0.0
    """Of the forged half of a batch, the part that is made on the fly. Parity presets keep it 0."""
    reals: str = ""
    """Folder of real faces to blend; empty: the reals of `data.train`.

    Pictures where there is no `data.train`; beside it prepared shards or a pool."""
    self_blend: float = Field(default=0.7, ge=0.0)
    """Relative chance: a face blended with itself (SBI)."""
    swap: float = Field(default=0.3, ge=0.0)
    """Relative chance: another person's face blended in (Face X-ray)."""
    generated: float = Field(default=0.0, ge=0.0)
    """Relative chance: the whole portrait passed through traces of generators."""
    pool: int = Field(default=0, ge=0)
    """How many different pairs there are; 0: every pair is made once.

    Of pictures they are made ahead, of shards when a batch asks for them."""
    codec: Share = 0.0
    """Chance that both halves of a pair go through the same passage: H.264 mostly, JPEG, resizing."""
    crf: tuple[int, int] = (16, 38)
    """Range of the H.264 passages."""

    @model_validator(mode="after")
    def _something_to_make(self) -> "SyntheticConfig":
        if self.share > 0 and self.self_blend + self.swap + self.generated == 0:
            raise ValueError("share is above 0, and every kind of forgery has the chance 0")
        return self


class AugmentConfig(Frozen):
    """Augmentations of every training image, real or forged alike."""

    flip: Share = 0.5
    """Horizontal; applied to image and mask before the forward pass, never to stored maps alone."""
    jpeg: Share = 0.0
    jpeg_quality: tuple[int, int] = (60, 100)
    blur: Share = 0.0
    noise: Share = 0.0
    colour: Share = 0.0
    """RGB shift, brightness, contrast."""
    rescale: Share = 0.0
    """Down and up again by a random factor."""


class SolaLoss(Frozen):
    """alpha L_cls + beta L_first + gamma L_second (SOLA section 3.4; weights are not published)."""

    kind: Literal["sola"] = "sola"
    mode: Literal["weak", "supervised"] = "weak"
    alpha: float = 1.0
    beta: float = 0.1
    gamma: float = 0.1
    decorrelation: float = 0.0
    """Penalty on the pairwise correlation of the four second-order maps; off in the paper."""


class LrlLoss(Frozen):
    """L_ce + similarity L_sim + segmentation L_seg (LRL Eq. 10-13)."""

    kind: Literal["lrl"] = "lrl"
    similarity: float = 10.0
    segmentation: float = 1.0
    sim_norm: Literal["mse", "l2"] = "l2"
    """l2: the norm of Eq. 10; mse: mean of squares, far weaker beside the other terms."""


class LlsmLoss(Frozen):
    """L_cls + alpha L_LS + beta L_loc (LLSM Eq. 5-8; weights are not published)."""

    kind: Literal["llsm"] = "llsm"
    alpha: float = 1.0
    beta: float = 1.0


class FocusLoss(Frozen):
    """L_cls + lam L_loc (FoCus Eq. 6-8; which term carries lambda is a reading)."""

    kind: Literal["focus"] = "focus"
    lam: float = 0.1
    lam_on: Literal["loc", "cls"] = "loc"
    balance: float = Field(default=0.0, ge=0.0)
    """Pull of the mean selection towards a half; not in the paper. Keeps both modalities in use."""


class FpnLoss(Frozen):
    """CE + map_weight BCE(map, target) (FoCus paper, section IV-A)."""

    kind: Literal["efficientnet_fpn"] = "efficientnet_fpn"
    map_weight: float = 0.1
    map_source: MapSource = "focus"
    maps: str = ""
    """Folder written by `trainers.export_maps` for map_source = "focus"; for "folder", one grey
    picture per forged crop, named after its key in the shards, over the whole crop."""
    teacher: str = ""
    """Config whose network draws the maps; `trainers.reproduce` trains it first."""
    drawn_by: Literal["focus", "gradcam", "scorecam"] = "focus"
    """How the teacher draws them: its own fusion maps (Eq. 5), or a CAM of its classifier."""


Loss = Annotated[SolaLoss | LrlLoss | LlsmLoss | FocusLoss | FpnLoss, Field(discriminator="kind")]


class OptimiserConfig(Frozen):
    """Adam by default, as in all four papers."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = Field(default=1e-3, gt=0.0)
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    momentum: float = 0.9
    """sgd only."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    decay: Literal["matrices", "all"] = "matrices"
    """matrices: not norms and biases; all: every parameter, as torch's Adam does by itself."""
    asrm_lr_factor: float = Field(default=0.1, ge=0.0)
    """ASRM kernels learn slower and without weight decay: they are projected every step."""
    grad_clip: float = Field(default=1.0, ge=0.0)
    """Largest gradient norm; 0: no clipping."""


class ScheduleConfig(Frozen):
    """Learning rate over the steps."""

    name: Literal["constant", "cosine", "step"] = "cosine"
    warmup_steps: int = Field(default=0, ge=0)
    min_lr: float = Field(default=0.0, ge=0.0)
    """cosine ends here."""
    step_every: int = Field(default=0, ge=0)
    """step: multiply by `factor` after so many steps."""
    factor: float = Field(default=0.5, gt=0.0, le=1.0)


class SamplerConfig(Frozen):
    """Class-balanced batches whose frames are spread over videos."""

    real_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """SOLA's weak loss needs reals in every batch."""
    by_identity: bool = False
    """Draw an identity first, then one of its videos."""


class EvalConfig(Frozen):
    """When to look and when to keep."""

    every: int = Field(default=1000, ge=0)
    """Steps between evaluations; 0: never."""
    checkpoint_every: int = Field(default=500, ge=1)


class TrainConfig(Frozen):
    """Everything a training run depends on, data excepted (whose manifest hash is recorded)."""

    name: str
    title: str = ""
    plugin: str
    architecture: dict[str, Any] = Field(default_factory=dict)
    """Handed to the plugin's own config class, which refuses what it does not know."""
    pretrained: bool = False
    """Start trunks from ImageNet weights: of UNMASK_TIMM_WEIGHTS, of a package, or fetched where
    `--fetch-pretrained` says so."""
    init: str = ""
    """Bundle folder to start from instead (a run's, or of `trainers.init_from_timm`)."""
    crop_scale: float | None = Field(default=None, ge=1.0, le=4.0)
    """None: the manifest's."""
    data: DataConfig = DataConfig()
    synthetic: SyntheticConfig = SyntheticConfig()
    augment: AugmentConfig = AugmentConfig()
    loss: Loss
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    sampler: SamplerConfig = SamplerConfig()
    eval: EvalConfig = EvalConfig()
    steps: int = Field(gt=0)
    """Optimiser steps in all."""
    epoch_steps: int = Field(default=0, ge=0)
    """Steps of one epoch: every forged frame once, and as many real ones. 0: nobody counts epochs."""
    batch: int = Field(default=32, ge=2)
    """Images per step over all processes; real_share of them real."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the trunks; high-pass fronts stay fp32 (detect_plugins/layers/fp32.py says why).
    auto: bf16 where the machine has it in hardware."""
    channels_last: bool = True
    ema: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Decay of the averaged weights that are evaluated and exported; 0: off."""
    workers: int = Field(default=1, ge=0)
    """Data loading processes."""
    seed: int = 0
    notes: str = ""
    """What is a decision and not the paper's word."""

    @model_validator(mode="after")
    def _belongs_together(self) -> "TrainConfig":
        if self.loss.kind != self.plugin and self.plugin in _LOSS_KINDS:
            raise ValueError(f"loss.kind is {self.loss.kind!r}, plugin is {self.plugin!r}")
        return self


_LOSS_KINDS = {"sola", "lrl", "llsm", "focus", "efficientnet_fpn"}


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read `path` and apply `key.key=value` overrides (values are TOML; bare words are strings).

    `extends = "base/sola.toml"` in a file starts from that one: tables are merged, lists replaced,
    notes joined.
    The name is the file's own unless it says otherwise.

    Raises ConfigError naming the file, the key and what was expected.
    """
    tree = _tree(path)
    tree.setdefault("name", path.stem)
    for override in overrides:
        _override(tree, override)
    try:
        return TrainConfig.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        raise ConfigError(
            f"{path}, {where}: {first['msg']}.", fix="trainers/config.py lists every key."
        ) from error


def expand(text: str) -> Path:
    """A path of a config with `~` and `$VARIABLES` expanded.

    Raises ConfigError where a variable is not set.
    """
    expanded = os.path.expandvars(text)
    if "$" in expanded:
        raise ConfigError(
            f"the path {text!r} holds a variable that is not set.",
            fix="Export it, or override the path with --set.",
        )
    return Path(expanded).expanduser()


def _tree(path: Path, inheritors: tuple[Path, ...] = ()) -> dict[str, Any]:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"no readable training config at {path} ({error.strerror}).",
            fix="trainers/configs/ holds one for each recipe.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    base = tree.pop("extends", None)
    if base is None:
        return tree
    if path in inheritors:
        raise ConfigError(f"{path} extends itself.")
    merged = _merged(_tree((path.parent / str(base)).resolve(), (*inheritors, path)), tree)
    if "name" not in tree:
        merged.pop("name", None)
    return merged


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        held = merged.get(key)
        if key == "notes" and held:
            merged[key] = f"{str(held).strip()}\n{value}"
            continue
        if isinstance(held, dict) and isinstance(value, dict):
            merged[key] = _merged(held, value)
        else:
            merged[key] = value
    return merged


def _override(tree: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(
            f"override {text!r} is not key=value.", fix="For example optimiser.lr=1e-4."
        )
    *parents, last = key.strip().split(".")
    node: Any = tree
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise ConfigError(f"override {text!r}: {parent!r} is not a table.")
    try:
        node[last] = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        node[last] = value
