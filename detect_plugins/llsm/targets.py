"""What LLSM is trained on: the pair map of Eq. 3-4. Pure functions."""

import torch.nn.functional as F
from torch import Tensor


def forged_cells(mask: Tensor, side: int, threshold: float = 0.5) -> Tensor:
    """m': which cells are forged, (B, side * side) of 0 and 1, row by row.

    mask (B, 1, H, W) in 0..1: averaged over each cell's area, then made binary, so that Eq. 4's
    difference is exact.
    """
    cells = F.adaptive_avg_pool2d(mask.float(), (side, side))
    return (cells >= threshold).float().flatten(1)


def pair_target(mask: Tensor, side: int, threshold: float = 0.5) -> Tensor:
    """M of Eq. 3-4: |m'_i - m'_j|, (B, N, N) of 0 and 1, 1 = different. All zero for reals.

    By broadcasting: the Cartesian product of Eq. 3 is never built.
    """
    m = forged_cells(mask, side, threshold)
    return (m[:, :, None] - m[:, None, :]).abs()
