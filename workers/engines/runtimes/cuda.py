"""What the two CUDA engines share: the device, its name, and tensors to and from it."""

from collections.abc import Sequence

import torch

from unmask.errors import EngineUnavailable
from unmask.plugin import Floats

AUTOCAST = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": None}


def require_cuda(engine: str, device: str) -> torch.device:
    """The CUDA device. Raises EngineUnavailable on a CPU, or where torch sees no GPU."""
    if not device.startswith("cuda"):
        raise EngineUnavailable(
            engine, f"it runs on CUDA, not on {device}.", fix="Set UNMASK_DEVICE=cuda."
        )
    if not torch.cuda.is_available():
        raise EngineUnavailable(
            engine,
            "torch sees no GPU.",
            fix="Install the NVIDIA driver and a CUDA build of torch, or set UNMASK_DEVICE=cpu.",
        )
    return torch.device(device)


def require_precision(engine: str, precision: str) -> torch.dtype | None:
    """The autocast type of a precision, None for fp32. Raises EngineUnavailable."""
    if precision not in AUTOCAST:
        raise EngineUnavailable(
            engine, f"no {precision}.", fix=f"Use one of {', '.join(AUTOCAST)}."
        )
    return AUTOCAST[precision]


def gpu_name(device: torch.device) -> str:
    """Model and compute capability: an engine built for one GPU is not taken to another."""
    major, minor = torch.cuda.get_device_capability(device)
    return f"{torch.cuda.get_device_name(device)} sm_{major}{minor}"


def to_host(outputs: Sequence[torch.Tensor]) -> list[Floats]:
    """Outputs as float32 arrays; copies, because a captured graph reuses its own buffers."""
    return [each.detach().float().cpu().numpy().copy() for each in outputs]
