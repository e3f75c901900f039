"""From weights.safetensors into a network: memory-mapped, every name and shape checked."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from unmask.errors import BundleRefused

_FIX = "Use the plugin version that wrote the bundle, or export it again."
#: Batch norm's counter only matters to training without momentum; bundles may leave it out.
_OPTIONAL_SUFFIX = "num_batches_tracked"
_SHOWN = 3


def read_tensors(path: Path, plugin: str) -> dict[str, Tensor]:
    """Every tensor of the file, still mapped from it. Raises BundleRefused."""
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleRefused(plugin, f"{path} cannot be read: {error}.", fix=_FIX) from error
    return tensors


def fill_network(network: nn.Module, tensors: dict[str, Tensor], plugin: str) -> None:
    """Copy the tensors into the network, widening half precision. Raises BundleRefused.

    Names and shapes must match exactly, and every number be finite: a bundle of another
    architecture never half fits.
    """
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in tensors and not _optional(name)]
    unknown = [name for name in tensors if name not in wanted]
    for what, names in (("lack", missing), ("hold unknown", unknown)):
        if names:
            shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            raise BundleRefused(
                plugin, f"its weights {what} {len(names)} tensors: {shown}.", fix=_FIX
            )
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise BundleRefused(
                plugin,
                f"{name} has shape {tuple(tensor.shape)}, "
                f"the architecture wants {tuple(wanted[name].shape)}.",
                fix=_FIX,
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BundleRefused(plugin, f"{name} holds numbers that are not finite.", fix=_FIX)
    network.load_state_dict(tensors, strict=False)


def _optional(name: str) -> bool:
    return name.endswith(_OPTIONAL_SUFFIX)
