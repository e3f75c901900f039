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
        # Means and squared deviations are merged, not sums of squares: those lose the last digits
        # where a mean is large beside its deviation (Chan, Golub, LeVeque 1983).
        wide = x.float()
        local = wide.mean((0, 2, 3))
        squares = (wide - local[:, None, None]).pow(2).sum((0, 2, 3))
        count = wide.new_tensor([wide.numel() // wide.shape[1]])
        gathered = collective.all_gather(torch.cat([local, squares, count]))  # type: ignore[no-untyped-call]
        every: Tensor = torch.stack(list(gathered))
        channels = wide.shape[1]
        means, counts = every[:, :channels], every[:, -1:]
        n = counts.sum()
        mean = (counts * means).sum(0) / n
        spread = every[:, channels:-1].sum(0) + (counts * (means - mean).pow(2)).sum(0)
        variance = spread / n
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
