"""A checkpoint of timm or torchvision -> a bundle that `init` may name, on a machine without a network.

    python -m trainers.init_from_timm resnet18.a1_in1k.safetensors --plugin sola --out INIT
    python trainers/train.py --config C --set pretrained=false --set init=INIT

The bundle holds the tensors that the checkpoint fills, both streams' where there are two, and
nothing else: heads start at random as they do from ImageNet weights.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from detect_plugins.catalogue import load_catalogue, load_class
from trainers.config import load_config
from trainers.shards.files import write_json
from trainers.training.starts.imagenet import read_weights
from trainers.training.starts.network import starting_network
from unmask.errors import ConfigError


def init_tensors(detector: Any, architecture: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `detector`'s network that `given`, by timm's names, fills.

    Raises ConfigError where it is the checkpoint of another model.
    """

    def network(imagenet: Any) -> dict[str, Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return dict(starting_network(detector, architecture, imagenet).state_dict())

    random, filled = network(None), network(lambda name: dict(given))
    return {k: v.contiguous() for k, v in filled.items() if not torch.equal(v, random[k])}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="safetensors of timm or torchvision")
    parser.add_argument("--plugin", required=True)
    parser.add_argument("--config", type=Path, help="whose architecture; default: the plugin's")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    args = parser.parse_args(argv)
    detector: Any = load_class(load_catalogue().get(args.plugin))
    named = load_config(args.config).architecture if args.config else {}
    architecture = detector.Config.model_validate(named)
    tensors = init_tensors(detector, architecture, read_weights(args.file))
    if not tensors:
        raise ConfigError(
            f"{args.file.name} fills nothing of {args.plugin}.", fix="Give its trunk's checkpoint."
        )
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, args.out / "weights.safetensors")
    write_json(
        args.out / "init.json",
        {
            "plugin": args.plugin,
            "architecture": architecture.model_dump(mode="json"),
            "source": args.file.name,
            "source_sha256": hashlib.sha256(args.file.read_bytes()).hexdigest(),
            "tensors": len(tensors),
        },
    )
    values = sum(t.numel() for t in tensors.values())
    print(f"{args.out}: {len(tensors)} tensors, {values:,} values of {args.file.name}")


if __name__ == "__main__":
    main()
