"""The adaptive spatial rich model (SOLA, section 3.1): high-pass filters that learn and stay such."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detect_plugins.layers.fp32 import fp32_region
from detect_plugins.layers.srm import srm_kernels
from detect_plugins.sola.config import SolaConfig

_CENTRE = 2
#: Below it, dividing by the sum of a kernel's other entries would blow the kernel up.
_SMALLEST_SUM = 0.05
#: Classic SRM truncates residuals to three grey levels.
_CLAMP = 3.0 / 255.0


def project_kernels(weight: Tensor, how: str) -> tuple[Tensor, Tensor]:
    """Bring 5x5 kernels back to centre -1 and other entries summing to 1 (Eq. 3-4).

    weight: (..., 5, 5). `scale` divides the other entries by their sum, as Eq. 4 does; where that
    sum is under 0.05 in size, and always with `shift`, they move by equal shares instead (the
    orthogonal projection onto the same affine set). Returns the kernels, and how many slices were
    shifted for having too small a sum under `scale`. Pure.
    """
    outer = torch.ones(5, 5, dtype=weight.dtype, device=weight.device)
    outer[_CENTRE, _CENTRE] = 0.0
    others = weight * outer
    total = others.sum(dim=(-2, -1), keepdim=True)
    degenerate = total.abs() < _SMALLEST_SUM
    shifted = (others + (1.0 - total) / 24.0) * outer
    if how == "shift":
        projected, degenerate = shifted, torch.zeros_like(degenerate)
    else:
        safe = torch.where(degenerate, torch.ones_like(total), total)
        projected = torch.where(degenerate, shifted, others / safe)
    return projected - (1.0 - outer), degenerate.sum()


class Asrm(nn.Module):
    """(B, 3, H, W) pixels in 0..1 -> noise (B, 3 or 9, H, W), always computed in float32.

    One 5x5 convolution without bias, reflect padding, initialised with the three SRM kernels
    repeated over the colours. Call `project_` after every optimiser step.
    """

    shifted: Tensor

    def __init__(self, config: SolaConfig) -> None:
        super().__init__()
        self.constrained = config.use_asrm
        self.how = config.asrm_project
        self.clamp = config.clamp
        self.groups = 3 if config.depthwise else 1
        kernels = srm_kernels()
        if config.depthwise:
            weight = kernels.repeat(3, 1, 1).unsqueeze(1)
        else:
            weight = kernels.unsqueeze(1).repeat(1, 3, 1, 1)
        trains = config.use_asrm or config.srm_learnable
        self.weight = nn.Parameter(weight.contiguous(), requires_grad=trains)
        #: How often a kernel's sum came too close to 0 for the division of Eq. 4.
        self.register_buffer("shifted", torch.zeros((), dtype=torch.long), persistent=False)

    @property
    def out_channels(self) -> int:
        """3, or 9 where depthwise."""
        return int(self.weight.shape[0])

    def forward(self, image: Tensor) -> Tensor:
        with fp32_region(image):
            # Grey levels are integers, so the products of the q = 2 and q = 4 kernels are exact.
            pixels = F.pad(image.float() * 255.0, (2, 2, 2, 2), mode="reflect")
            noise = F.conv2d(pixels, self.weight.float(), groups=self.groups) / 255.0
            if self.clamp:
                noise = noise.clamp(-_CLAMP, _CLAMP)
        return noise.to(image.dtype)

    @torch.no_grad()
    def project_(self) -> None:
        """Project the kernels in place (Eq. 4). No effect on unconstrained SRM filters."""
        if self.constrained:
            projected, shifted = project_kernels(self.weight, self.how)
            self.weight.copy_(projected)
            self.shifted += shifted

    def constraint_error(self) -> float:
        """Largest distance from centre -1 and sum 1, over all slices; 0 where unconstrained."""
        if not self.constrained:
            return 0.0
        weight = self.weight.detach().float()
        centre = weight[..., _CENTRE, _CENTRE]
        others = weight.sum(dim=(-2, -1)) - centre
        return float(torch.maximum((centre + 1.0).abs().amax(), (others - 1.0).abs().amax()))
