"""A run's checkpoint as a weights bundle: what evaluate.py and export.py start from.

python -m trainers.bundles.from_run RUN [--checkpoint best] --out BUNDLE
"""

import argparse
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from detect_plugins.catalogue import load_catalogue, load_class
from trainers.bundles.network_facts import network_facts, taught
from trainers.bundles.write_bundle import draft_card, write_bundle
from trainers.config import TrainConfig
from unmask.bundle import BundleCard
from unmask.errors import ConfigError


def averaged_weights(checkpoint: Path) -> tuple[dict[str, Tensor], int]:
    """The averaged weights of a checkpoint file, and its step. Raises ConfigError."""
    try:
        with safe_open(checkpoint, "pt") as file:
            names = [n for n in file.keys() if n.startswith("average/")]  # noqa: SIM118
            tensors = {n.removeprefix("average/"): file.get_tensor(n) for n in names}
            return tensors, int(file.metadata()["step"])
    except (OSError, KeyError) as error:
        raise ConfigError(f"no checkpoint at {checkpoint}.", fix="Train first.") from error


def bundle_of_run(run: Path, checkpoint: str, out: Path, **more: Any) -> BundleCard:
    """Write `run`'s checkpoint ("checkpoint" is the last, "best" the best) as a float32 bundle.

    `more` are fields of BundleCard. Raises ConfigError, BundleRefused.
    """
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    config = described["config"]
    tensors, step = averaged_weights(run / f"{checkpoint}.safetensors")
    entry = load_catalogue().get(config["plugin"])
    detector: Any = load_class(entry)
    architecture = detector.Config.model_validate(config["architecture"])
    card = draft_card(
        plugin=config["plugin"],
        plugin_version=entry.require_manifest().version,
        name=config["title"] or config["name"],
        architecture=architecture.model_dump(mode="json"),
        network=network_facts(detector, architecture),
        **{
            **taught(TrainConfig.model_validate(config)),
            "data_manifest_sha256": described["data_manifest_sha256"],
            "training": {**described, "step": step, "seed": config["seed"]},
            **more,
        },
    )
    return write_bundle(out, tensors, card)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--checkpoint", choices=("checkpoint", "best"), default="best")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    card = bundle_of_run(args.run, args.checkpoint, args.out)
    print(f"{args.out}: {card.name}, step {card.training['step']}, sha256 {card.sha256[:12]}")


if __name__ == "__main__":
    main()
