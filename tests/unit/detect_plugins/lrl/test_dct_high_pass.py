"""The DCT high-pass of LRL equals the textbook transform, and its tests see a broken triangle."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn

from detect_plugins.layers import dct
from detect_plugins.layers.dct import LUMA, DctHighPass

SIDE = 47


def _grey(image: torch.Tensor) -> np.ndarray:
    return np.tensordot(np.array(LUMA), image.double().numpy(), axes=(0, 1))


def error_against_scipy(alpha: float) -> float:
    """Largest difference from IDCT(F(DCT(grey))), the removed triangle written out as in the paper."""
    image = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    coefficients = dctn(_grey(image), axes=(1, 2), norm="ortho")
    for u in range(SIDE):
        for v in range(SIDE):
            if u / SIDE + v / SIDE < alpha:
                coefficients[:, u, v] = 0.0
    expected = idctn(coefficients, axes=(1, 2), norm="ortho")
    return float(np.abs(expected - DctHighPass(SIDE, alpha)(image)[:, 0].numpy()).max())


@pytest.mark.parametrize("alpha", [0.1, 0.33, 0.7, 1.2])
def test_it_matches_scipy(alpha):
    assert error_against_scipy(alpha) < 1e-4


@pytest.mark.parametrize(
    "broken",
    [
        lambda side, alpha: _triangle(side, alpha * 0.9),
        lambda side, alpha: np.maximum.outer(np.arange(side), np.arange(side)) < alpha * side,
        lambda side, alpha: _triangle(side, alpha)[::-1, ::-1].copy(),
    ],
    ids=["shorter", "square", "high-frequencies"],
)
def test_another_triangle_is_noticed(monkeypatch, broken):
    monkeypatch.setattr(dct, "low_triangle", broken)
    assert error_against_scipy(0.33) > 1e-3


_triangle = dct.low_triangle


def test_at_299_the_triangle_holds_4950_coefficients_in_99_rows():
    low = dct.low_triangle(299, 0.33)
    assert low.sum() == 4950
    assert DctHighPass(299, 0.33).rows.shape == (99, 299)


def test_alpha_zero_returns_the_grey_image_and_alpha_two_nothing():
    image = torch.rand(1, 3, SIDE, SIDE)
    assert np.allclose(DctHighPass(SIDE, 0.0)(image)[:, 0].numpy(), _grey(image), atol=1e-6)
    assert DctHighPass(SIDE, 2.0)(image).abs().max() < 1e-5


def error_under_autocast() -> float:
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    high_pass = DctHighPass(SIDE)
    reference = high_pass(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = high_pass(image)
    assert under.dtype == torch.float32
    return float((reference - under).abs().max())


def test_autocast_does_not_change_it():
    assert error_under_autocast() == 0.0


def test_leaving_the_fp32_region_out_is_noticed(monkeypatch):
    monkeypatch.setattr(dct, "fp32_region", lambda like: nullcontext())
    assert error_under_autocast() > 1e-3
