"""Bundles with random weights, for measuring speed at the papers' sizes.

    python benchmarks/random_bundles.py OUT      then UNMASK_WEIGHTS_DIR=OUT

SOLA in its `fast` preset and EfficientNet-B4 + FPN, whose shipped weights are of smaller networks.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from detect_plugins.catalogue import load_catalogue, load_class
from unmask.bundle import CARD_FILE, WEIGHTS_FILE
from unmask.system.hashing import file_sha256

ARCHITECTURES: dict[str, dict[str, Any]] = {"sola": {"preset": "fast"}, "efficientnet_fpn": {}}


def write_random(folder: Path) -> Path:
    """Write a bundle per plugin of ARCHITECTURES under `folder`; return it."""
    for key, architecture in ARCHITECTURES.items():
        entry = load_catalogue().get(key)
        plugin = load_class(entry)
        config = plugin.Config.model_validate(architecture)
        torch.manual_seed(0)
        tensors = plugin.Network(config).state_dict()
        bundle = folder / key
        bundle.mkdir(parents=True, exist_ok=True)
        save_file({name: t.contiguous() for name, t in tensors.items()}, bundle / WEIGHTS_FILE)
        card = {
            "plugin": key,
            "plugin_version": entry.require_manifest().version,
            "name": "random, for speed",
            "created": "2026-11-21",
            "trained": False,
            "architecture": config.model_dump(mode="json"),
            "sha256": file_sha256(bundle / WEIGHTS_FILE),
            "dtype": "float32",
        }
        (bundle / CARD_FILE).write_text(json.dumps(card), encoding="utf-8")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    print(write_random(parser.parse_args().out))
