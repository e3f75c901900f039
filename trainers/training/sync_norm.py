"""Batch norm over all processes, on CPU too (torch's own SyncBatchNorm wants CUDA).

With it, two processes that share a batch compute what one process computes on the whole.
"""

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as collective
from torch import Tensor, nn


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose training statistics are those of every process's batch together."""

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(x)
        wide = x.float()
        count = torch.tensor([float(wide.numel() // wide.shape[1])], device=x.device)
        sums = torch.cat([wide.sum((0, 2, 3)), wide.pow(2).sum((0, 2, 3)), count])
        total: Tensor = collective.all_reduce(sums)  # type: ignore[no-untyped-call]
        channels = wide.shape[1]
        n = total[-1]
        mean = total[:channels] / n
        variance = (total[channels:-1] / n - mean.pow(2)).clamp(min=0.0)
        if (
            self.track_running_stats
            and self.running_mean is not None
            and self.running_var is not None
        ):
            with torch.no_grad():
                rate = self.momentum if self.momentum is not None else 0.1
                self.running_mean.lerp_(mean.detach(), rate)
                self.running_var.lerp_(variance.detach() * n / (n - 1), rate)
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked += 1
        scale = torch.rsqrt(variance + self.eps)
        out = (wide - mean[:, None, None]) * scale[:, None, None]
        if self.affine:
            out = out * self.weight[:, None, None] + self.bias[:, None, None]
        synced: Tensor = out.to(x.dtype)
        return synced


class SyncedBatchNormAct2d(SyncedBatchNorm2d):
    """The same for timm's BatchNormAct2d, which drops and activates after its norm."""

    drop: nn.Module
    act: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.act(self.drop(super().forward(x)))
        return activated


def synchronise_norms(network: nn.Module) -> None:
    """Turn every BatchNorm2d of a network, timm's activated ones too, into a synchronised one."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncedBatchNorm2d
        elif isinstance(module, nn.BatchNorm2d) and hasattr(module, "act"):
            module.__class__ = SyncedBatchNormAct2d
