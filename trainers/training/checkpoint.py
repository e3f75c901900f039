"""One file a checkpoint, safetensors only: weights, averaged weights, optimiser state, and the step.

The file is replaced at once, so a kill in mid-write leaves the one before.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from unmask.errors import ConfigError


@dataclass(kw_only=True)
class Checkpoint:
    """Where a run stands."""

    step: int
    """Optimiser steps done."""
    best: float
    """Best validation figure so far."""
    average: dict[str, Tensor]
    """Averaged weights, by the network's own names and on its device."""


def save_checkpoint(
    path: Path, state: Checkpoint, network: nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    """Write everything a resumed run needs."""
    tensors = {f"network/{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average/{k}": v for k, v in state.average.items()}
    for index, slot in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{k}": torch.as_tensor(v) for k, v in slot.items()}
    fresh = path.with_suffix(".tmp")
    meta = {"step": str(state.step), "best": json.dumps(state.best)}
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, fresh, metadata=meta)
    with fresh.open("rb+") as file:
        os.fsync(file.fileno())
    fresh.replace(path)


def also_as(written: Path, path: Path) -> None:
    """The same checkpoint under another name, at once; one file where the disk can link.

    Either name can be written to later: files are replaced, never changed.
    """
    fresh = path.with_suffix(".tmp")
    fresh.unlink(missing_ok=True)
    try:
        os.link(written, fresh)
    except OSError:
        shutil.copyfile(written, fresh)
    fresh.replace(path)


def load_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer) -> Checkpoint:
    """Fill network and optimiser in place. Raises ConfigError where the file is of another network."""
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}}
    slots: dict[int, dict[str, Tensor]] = {}
    with safe_open(path, "pt") as file:
        meta = file.metadata()
        for key in file.keys():  # noqa: SIM118  (safe_open is no mapping)
            part, _, name = key.partition("/")
            if part == "optimiser":
                index, _, field = name.partition("/")
                slots.setdefault(int(index), {})[field] = file.get_tensor(key)
            else:
                parts[part][name] = file.get_tensor(key)
    try:
        network.load_state_dict(parts["network"])
    except RuntimeError as error:
        raise ConfigError(
            f"{path} was written for another architecture.",
            fix="Use another --out, or the config of the run.",
        ) from error
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": slots, "param_groups": groups})
    devices = {name: value.device for name, value in network.state_dict().items()}
    return Checkpoint(
        step=int(meta["step"]),
        best=json.loads(meta["best"]),
        average={name: value.to(devices[name]) for name, value in parts["average"].items()},
    )
