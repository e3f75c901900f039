"""Maps of differences, against hand-made pictures and scikit-image."""

import pytest
import torch
from skimage.metrics import structural_similarity

from trainers.feed.pair_maps import pair_map

REAL = torch.zeros(1, 3, 16, 16)


def test_the_pixel_difference_is_its_mean_over_colours() -> None:
    fake = REAL.clone()
    fake[:, 0, 4, 4] = 0.6
    assert pair_map(REAL, fake, "pixel")[0, 0, 4, 4].item() == pytest.approx(0.2)
    assert pair_map(REAL, fake, "pixel-threshold")[0, 0, 4, 4] == 1.0
    assert pair_map(REAL, fake, "pixel-threshold").sum() == 1.0


def test_ssim_of_equal_pictures_is_one_so_their_map_is_zero() -> None:
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert pair_map(picture, picture, "ssim").abs().max() < 1e-4


def test_ssim_agrees_with_scikit_image() -> None:
    generator = torch.Generator().manual_seed(1)
    a = torch.rand(1, 1, 24, 24, generator=generator).expand(1, 3, 24, 24).double()
    b = (a + 0.1 * torch.rand(1, 1, 24, 24, generator=generator)).clamp(0, 1)
    ours = 1.0 - pair_map(a, b, "ssim")[0, 0, 5:-5, 5:-5]
    _, theirs = structural_similarity(
        a[0, 0].numpy(),
        b[0, 0].numpy(),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert torch.allclose(ours, torch.from_numpy(theirs)[5:-5, 5:-5], atol=1e-3)
