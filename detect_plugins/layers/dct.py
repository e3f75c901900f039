"""DCT high-pass by constant matrices (LRL, arXiv 2105.02577, Eq. 1-3). No FFT: MatMul only."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detect_plugins.layers.fp32 import fp32_region

#: ITU-R BT.601 luma, the grey conversion of the face-forgery field.
LUMA = (0.299, 0.587, 0.114)


def dct_matrix(side: int) -> NDArray[np.float64]:
    """The orthonormal DCT-II matrix D (side, side), float64: coefficients = D x.

    >>> d = dct_matrix(8)
    >>> bool(np.allclose(d @ d.T, np.eye(8)))
    True
    """
    k = np.arange(side)[:, None]
    n = np.arange(side)[None, :]
    matrix: NDArray[np.float64] = np.cos(np.pi * (2 * n + 1) * k / (2 * side))
    matrix *= math.sqrt(2.0 / side)
    matrix[0] = math.sqrt(1.0 / side)
    return matrix


def low_triangle(side: int, alpha: float) -> NDArray[np.bool_]:
    """Which coefficients the high-pass removes: u/side + v/side < alpha. (side, side) bool.

    At side 299 and alpha 0.33: 4,950 of 89,401, all within the first 99 rows and columns.
    """
    u = np.arange(side)
    # Integers against alpha * side: dividing first would put cells on the edge by rounding.
    return np.asarray((u[:, None] + u[None, :]) < alpha * side)


class DctHighPass(nn.Module):
    """Grey image minus its low frequencies: (B, 3, S, S) in 0..1 -> (B, 1, S, S), signed.

    g - D_L^T (m o (D_L g D_L^T)) D_L, with D_L the first rows of D that the triangle touches:
    equal to IDCT(F(DCT(g))) at a quarter of its cost. alpha 0 removes nothing, alpha 2 everything.
    Always fp32. Nothing is learnt or saved.
    """

    rows: Tensor
    triangle: Tensor
    luma: Tensor

    def __init__(self, side: int, alpha: float = 0.33) -> None:
        super().__init__()
        low = low_triangle(side, alpha)
        kept = max(1, int(low.any(axis=1).sum()))
        rows = torch.tensor(dct_matrix(side)[:kept], dtype=torch.float32)
        triangle = torch.tensor(low[:kept, :kept], dtype=torch.float32)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("triangle", triangle, persistent=False)
        self.register_buffer("luma", torch.tensor(LUMA).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        with fp32_region(image):
            grey = (image.float() * self.luma).sum(dim=1, keepdim=True)
            coefficients = self.rows @ grey @ self.rows.T
            low = self.rows.T @ (self.triangle * coefficients) @ self.rows
            return grey - low
