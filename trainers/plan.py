"""What a training run would take, before it takes it: `train.py --dry-run` prints this.

python -m trainers.plan trainers/configs/lrl-ffpp-c23.toml
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detect_plugins.catalogue import load_catalogue, load_class
from trainers import datasets
from trainers.config import DataSource, FpnLoss, TrainConfig, expand, load_config
from trainers.datasets.layout import found_in
from trainers.evaluation.paper_tables import expected_of
from trainers.feed.map_sources import MAPS_FILE
from trainers.shards.files import MANIFEST
from trainers.training.starts.imagenet import ImageNet, ways
from trainers.training.starts.network import start_in_words, trunk_names
from unmask.errors import ConfigError
from unmask.plugin import DetectorManifest

BACKWARD = 3.0
"""A training step costs about three forward passes."""
#: Multiply-accumulates per second that training reaches, in 1e9, by precision: orders of magnitude,
#: no promises. The CPU's is 30 to 80 images/s of SOLA fast at half width and 192 px; the GPU's a
#: fraction of what such networks reach in inference on one card.
MACHINES = {
    "2 CPU cores": {"fp32": 60.0, "bf16": 100.0},
    "one data-centre GPU": {"fp32": 5_000.0, "bf16": 15_000.0, "fp16": 15_000.0},
}
VALIDATION_FRAMES = 4
"""Frames per clip that a validation looks at, `train.py --val-frames`."""
#: Clips of the official validation sets, FaceForensics++ reals and one method.
_VALIDATION_CLIPS = 140
#: Where the architecture departs from the manifest's, its cost does too. Measured on meta tensors.
_SOLA_FAST, _SOLA_R50, _SOLA_R101 = 3.9, 44.3, 78.0


def training_plan(config: TrainConfig, manifest: DetectorManifest, *, fetch: bool = False) -> str:
    """The plan as text: data with where to get it, steps, expected time, expected figures."""
    lines = [
        f"{config.name}: {config.title or 'no title'}",
        f"plugin {config.plugin} {manifest.version}, input {_input(config, manifest)} px, "
        f"crop scale {config.crop_scale or manifest.crop_scale:g}, seed {config.seed}",
        "",
        "Data",
    ]
    data = config.data
    for part, sources in (("train", data.train), ("val", data.val), ("test", data.test)):
        for source in sources:
            lines += _source(part, source)
    lines += _maps(config)
    lines += _synthetic(config)
    lines += ["", "Steps", *_steps(config, fetch), "", "Expected time", *_time(config, manifest)]
    lines += ["", "Expected figures", *_figures(config)]
    if config.notes:
        lines += ["", "Not the paper's word", f"  {config.notes.strip()}"]
    return "\n".join(lines)


def _input(config: TrainConfig, manifest: DetectorManifest) -> int:
    return int(config.architecture.get("input_px", manifest.input_px))


def _source(part: str, source: DataSource) -> list[str]:
    description = datasets.reader(source.dataset).description
    what = " ".join(filter(None, [source.compression, ", ".join(source.methods)]))
    lines = [
        f"  {part}: {description.title} {what}".rstrip() + f", split {source.split}, "
        f"{source.frames} frames per video, masks {source.masks}",
        f"    terms: {description.licence}",
    ]
    try:
        shards = expand(source.shards) if source.shards else None
        if shards is not None and (shards / MANIFEST).is_file():
            return [*lines, f"    ready: {shards}"]
        root = expand(source.root)
        if root.exists():
            lines.append(f"    tree at {root}: {found_in(root)}")
            lines.append("    next: python -m trainers.prepare --config CONFIG")
            return lines
        lines.append(f"    missing: {root}")
    except ConfigError as error:
        lines.append(f"    missing: {error.message}")
    lines.append(f"    layout: {description.layout}")
    lines.append(f"    to get it: {description.where}")
    return lines


def _maps(config: TrainConfig) -> list[str]:
    """Where an EfficientNet + FPN's maps come from, on which crops, and whether they are there."""
    loss = config.loss
    if not isinstance(loss, FpnLoss) or loss.map_source not in ("focus", "folder"):
        return []
    crops = config.data.train[0].shards if config.data.train else "the crops of --data"
    by = f"by {loss.drawn_by} of {loss.teacher}" if loss.teacher else "by another network"
    lines = [f"  maps {by}, on {crops}"]
    try:
        folder = expand(loss.maps)
        there = (folder / MAPS_FILE).is_file() or any(folder.glob("*.png"))
        lines.append(f"    {'ready' if there else 'missing'}: {folder}")
    except ConfigError as error:
        lines.append(f"    missing: {error.message}")
    if loss.teacher:
        lines.append(f"    `python -m trainers.reproduce {config.name}` trains the teacher first")
    return lines


def _synthetic(config: TrainConfig) -> list[str]:
    synthetic = config.synthetic
    if synthetic.share == 0:
        return ["  no blended forgeries"]
    lines = [
        f"  {100 * synthetic.share:.0f} % of forgeries made from real faces "
        f"(self {synthetic.self_blend:g}, swap {synthetic.swap:g}, generated {synthetic.generated:g})"
    ]
    if config.data.train and not synthetic.reals:
        lines.append("    reals: those of data.train, forged while training")
    if synthetic.reals:
        try:
            folder: Path = expand(synthetic.reals)
            state = "there" if folder.exists() else "missing"
            lines.append(f"    reals: {folder}, {state}")
        except ConfigError as error:
            lines.append(f"    reals: {error.message} Any folder of face photos or clips will do.")
    return lines


def _steps(config: TrainConfig, fetch: bool) -> list[str]:
    images = config.steps * config.batch
    schedule = config.schedule
    shape = {
        "constant": "constant",
        "cosine": f"cosine to {schedule.min_lr:g}",
        "step": f"times {schedule.factor:g} every {schedule.step_every} steps",
    }[schedule.name]
    warm = f", warm-up {schedule.warmup_steps}" if schedule.warmup_steps else ""
    epochs = (
        f" = {config.steps / config.epoch_steps:g} epochs of {config.epoch_steps:,} steps (every "
        "forged frame once, as many real ones)"
        if config.epoch_steps and config.plugin != "llsm"
        else f" = {config.steps / config.epoch_steps:g} epochs of {config.epoch_steps:,} steps"
        if config.epoch_steps
        else ""
    )
    return [
        f"  {config.steps:,} steps of {config.batch} images = {images:,} images{epochs}, "
        f"{100 * config.sampler.real_share:.0f} % real",
        f"  {config.optimiser.name} {config.optimiser.lr:g}, {shape}{warm}, {config.precision}, "
        f"EMA {config.ema or 'off'}",
        f"  loss: {config.loss.model_dump()}",
        *_start(config, fetch),
    ]


def _start(config: TrainConfig, fetch: bool) -> list[str]:
    detector: Any = load_class(load_catalogue().get(config.plugin))
    architecture = detector.Config.model_validate(config.architecture)
    imagenet = ImageNet(fetch=fetch)
    said = start_in_words(config, detector, architecture, imagenet)
    lines = [f"  trunks start from {said}"]
    if config.pretrained and not config.init:
        missing = [n for n in trunk_names(detector, architecture) if imagenet.source(n) is None]
        lines += [f"    missing: {ways(name)}" for name in missing]
    return lines


def _time(config: TrainConfig, manifest: DetectorManifest) -> list[str]:
    """Training and validation, at the config's precision; "auto" is reckoned as fp32."""
    precision = "fp32" if config.precision == "auto" else config.precision
    image = gmacs(config, manifest)
    training = BACKWARD * image * config.steps * config.batch
    methods = sum(max(1, len(s.methods) or 4 * (s.dataset == "ffpp")) for s in config.data.val)
    looks = config.steps // config.eval.every if config.eval.every else 1
    frames = _VALIDATION_CLIPS * (1 + methods) * VALIDATION_FRAMES if config.data.val else 0
    validating = image * frames * looks
    lines = []
    for machine, rates in MACHINES.items():
        rate = rates.get(precision, rates["fp32"])
        lines.append(
            f"  {machine}, {precision} (estimate): about {_length((training + validating) / rate)}, "
            f"of it validation {_length(validating / rate)}"
        )
    lines.append(
        f"  validation: {looks} times {frames:,} images; data loading and preparing are not counted; "
        "`--max-steps 50` measures this machine"
    )
    return lines


def _length(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"


def gmacs(config: TrainConfig, manifest: DetectorManifest) -> float:
    """Multiply-accumulates of one forward pass, 1e9, scaled from the manifest's or as measured."""
    architecture = config.architecture
    cost = manifest.gmacs
    if config.plugin == "sola":
        backbone = str(architecture.get("backbone", "resnet18"))
        cost = {"resnet50": _SOLA_R50, "resnet101": _SOLA_R101}.get(backbone, cost)
        if architecture.get("preset") == "fast":
            cost *= _SOLA_FAST / manifest.gmacs
        cost *= float(architecture.get("width", 1.0)) ** 2
    one_stream = (
        architecture.get("use_noise_stream") is False
        or architecture.get("use_frequency") is False
        or architecture.get("second") == "none"
    )
    cost *= 0.5 if one_stream else 1.0
    side = _input(config, manifest)
    return cost * (side / manifest.input_px) ** 2


def _figures(config: TrainConfig) -> list[str]:
    expected = expected_of(config.name)
    if not expected:
        return ["  no printed table: see the model card of what it gives"]
    return [
        f"  {f.paper} table {f.table} ({f.model}), test {f.test}: {f.metric} {f.value:.2f} "
        f"(+-{f.tolerance:g} counts as reproduced)"
        for f in expected
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the plan of each config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, nargs="+")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(argv)
    catalogue = load_catalogue()
    for path in args.config:
        config = load_config(path, args.set)
        print(training_plan(config, catalogue.get(config.plugin).require_manifest()), end="\n\n")


if __name__ == "__main__":
    main()
