"""Fixed high-pass views of a face: Sobel edges (FoCus, section III-A) and SRM noise (SOLA, 3.1)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detect_plugins.layers.fp32 import fp32_region
from detect_plugins.layers.srm import SRM_KERNELS


class SobelEdges(nn.Module):
    """Per-channel gradient magnitude, (B, 3, H, W) in 0..1 -> the same shape in 0..1.

    sqrt(gx^2 + gy^2 + eps) / (4 sqrt 2), replicate padding. Written as slices and sums rather than
    a convolution, so that no backend can run it in TF32.
    """

    def __init__(self, eps: float = 1e-12) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, image: Tensor) -> Tensor:
        with fp32_region(image):
            padded = F.pad(image.float(), (1, 1, 1, 1), mode="replicate")
            across = padded[..., 2:] - padded[..., :-2]
            down = padded[..., 2:, :] - padded[..., :-2, :]
            gx = across[..., :-2, :] + 2.0 * across[..., 1:-1, :] + across[..., 2:, :]
            gy = down[..., :-2] + 2.0 * down[..., 1:-1] + down[..., 2:]
            return torch.sqrt(gx * gx + gy * gy + self.eps) / (4.0 * math.sqrt(2.0))


class SrmNoise(nn.Module):
    """The three fixed SRM residuals, summed over RGB: (B, 3, H, W) in 0..1 -> (B, 3, H, W), signed.

    Pixels are brought to 0..255 and the kernels stay integers, q dividing the output, so that every
    product is exact even in reduced precision. Reflect padding: no bright frame.
    """

    kernels: Tensor
    divisors: Tensor

    def __init__(self) -> None:
        super().__init__()
        kernels = torch.tensor([kernel for kernel, _ in SRM_KERNELS], dtype=torch.float32)
        divisors = torch.tensor([q for _, q in SRM_KERNELS], dtype=torch.float32)
        weight = kernels[:, None].repeat(1, 3, 1, 1)
        self.register_buffer("kernels", weight, persistent=False)
        self.register_buffer("divisors", (255.0 * divisors).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        with fp32_region(image):
            padded = F.pad(image.float() * 255.0, (2, 2, 2, 2), mode="reflect")
            return F.conv2d(padded, self.kernels) / self.divisors
