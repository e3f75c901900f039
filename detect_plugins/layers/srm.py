"""Three filters of the spatial rich model (Fridrich and Kodovsky), 5x5, orders q = 2, 4 and 12."""

import torch
from torch import Tensor

#: (integer kernel, q): the filter is kernel / q. Each kernel sums to 0, its centre is -q.
SRM_KERNELS: tuple[tuple[tuple[tuple[int, ...], ...], int], ...] = (
    (
        (
            (0, 0, 0, 0, 0),
            (0, 0, 0, 0, 0),
            (0, 1, -2, 1, 0),
            (0, 0, 0, 0, 0),
            (0, 0, 0, 0, 0),
        ),
        2,
    ),
    (
        (
            (0, 0, 0, 0, 0),
            (0, -1, 2, -1, 0),
            (0, 2, -4, 2, 0),
            (0, -1, 2, -1, 0),
            (0, 0, 0, 0, 0),
        ),
        4,
    ),
    (
        (
            (-1, 2, -2, 2, -1),
            (2, -6, 8, -6, 2),
            (-2, 8, -12, 8, -2),
            (2, -6, 8, -6, 2),
            (-1, 2, -2, 2, -1),
        ),
        12,
    ),
)


def srm_kernels() -> Tensor:
    """The three filters, (3, 5, 5) float32: centre -1, the other 24 entries sum to 1."""
    return torch.stack([torch.tensor(kernel, dtype=torch.float32) / q for kernel, q in SRM_KERNELS])
