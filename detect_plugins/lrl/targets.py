"""What LRL is trained on: difference masks and patch similarities (section 3.3). Pure functions."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from detect_plugins.layers.dct import LUMA


def difference_mask(fake: Tensor, real: Tensor, threshold: float = 0.15) -> Tensor:
    """Which pixels of a forged face differ from its source frame: (B, 1, H, W) of 0 and 1.

    fake, real: (B, 3, H, W) in 0..1. Absolute difference in RGB, then grey, then the threshold that
    section 3.3 found by trial.
    """
    luma = torch.tensor(LUMA, device=fake.device).view(1, 3, 1, 1)
    grey = ((fake - real).abs() * luma).sum(dim=1, keepdim=True)
    return (grey > threshold).to(torch.float32)


def averaging_matrix(side: int, k: int) -> Tensor:
    """(k, side): row i averages the pixels of strip i. Strips are ceil(side / k) wide, the last
    one shorter where k does not divide (299 into 5: 60, 60, 60, 60, 59).

    >>> [int(n) for n in (averaging_matrix(299, 5) > 0).sum(dim=1)]
    [60, 60, 60, 60, 59]
    """
    width = -(-side // k)
    if (k - 1) * width >= side:
        raise ValueError(f"{side} pixels do not give {k} strips of {width}. Use a larger mask.")
    matrix = np.zeros((k, side), dtype=np.float32)
    for strip in range(k):
        inside = slice(strip * width, min((strip + 1) * width, side))
        matrix[strip, inside] = 1.0 / (inside.stop - inside.start)
    return torch.from_numpy(matrix)


def forged_shares(mask: Tensor, k: int) -> Tensor:
    """p_i of section 3.3: the mean of each of the k x k patches, row by row, (B, k*k).

    mask (B, 1, H, W) in 0..1, 1 = forged.
    """
    rows = averaging_matrix(mask.shape[-2], k).to(mask.device)
    columns = averaging_matrix(mask.shape[-1], k).to(mask.device)
    shares: Tensor = rows @ mask.float()[:, 0] @ columns.T
    return shares.flatten(1)


def similarity_target(mask: Tensor, k: int, kind: Literal["square", "abs"] = "square") -> Tensor:
    """s_ij of Eq. 9, (B, k*k, k*k): 1 - (p_i - p_j)^2, or 1 - |p_i - p_j|. All ones for reals."""
    shares = forged_shares(mask, k)
    difference = shares[:, :, None] - shares[:, None, :]
    return 1.0 - (difference.square() if kind == "square" else difference.abs())
