"""Where a run computes and how precisely: the processes, the device, and a batch on it."""

import os

import torch
from lightning_fabric import Fabric
from torch import Tensor

from trainers.config import TrainConfig
from trainers.feed.batches import Batch
from trainers.training.losses import Truth
from workers.engines.machine import cpu_has_bf16


def precision_of(config: TrainConfig) -> str:
    """fp32, bf16 or fp16: the config's, or for "auto" what this machine computes in hardware.

    A processor without bf16 arithmetic emulates it: SOLA's step then takes five times as long.
    """
    if config.precision != "auto":
        return config.precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if cpu_has_bf16() else "fp32"


def fabric_for(precision: str) -> Fabric:
    """All GPUs or processes that torchrun started, or this machine's first; launched by the caller."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return Fabric(
        accelerator="auto" if torch.cuda.is_available() else "cpu",
        devices=local,
        num_nodes=int(os.environ.get("WORLD_SIZE", "1")) // local,
        precision={"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[precision],
    )


def on_device(batch: Batch, device: torch.device, *, channels_last: bool) -> tuple[Tensor, Truth]:
    """uint8 batch -> float image in 0..1 (B, 3, S, S), and what the losses are told."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    image = batch.image.to(device).to(memory_format=layout).float() / 255.0
    extent = batch.extent.to(device)
    truth = Truth(
        label=batch.label.to(device),
        mask=batch.mask.to(device).float() / 255.0,
        has_mask=extent != 3,
        has_seam=extent <= 1,
    )
    return image, truth
