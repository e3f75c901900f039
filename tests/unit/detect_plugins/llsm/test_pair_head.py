"""The pair heads: what they equal, what they can learn, and what the literal one cannot."""

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from detect_plugins.llsm import pair_head, targets
from detect_plugins.llsm.pair_head import (
    AbsoluteDifferencePairs,
    AdditivePairs,
    HiddenPairs,
    build_pair_head,
    inconsistency_map,
    odd_cells,
)
from detect_plugins.llsm.targets import forged_cells, pair_target

CHANNELS, SIDE = 5, 4
CELLS = SIDE * SIDE


def _stacked_pairs(features: torch.Tensor) -> torch.Tensor:
    """(C, N) -> (N * N, C, 2, 1): every ordered pair of cells, as Eq. 1 stacks them."""
    flat = features.flatten(1)
    pairs = [torch.stack((flat[:, i], flat[:, j]), 1) for i in range(CELLS) for j in range(CELLS)]
    return torch.stack(pairs)[..., None]


def test_the_additive_head_is_one_convolution_with_a_2x1xc_kernel():
    torch.manual_seed(0)
    head = AdditivePairs(CHANNELS)
    features = torch.randn(1, CHANNELS, SIDE, SIDE)
    kernel = torch.stack((head.first.weight[0], head.second.weight[0]), dim=1)[None, :, :, None]
    explicit = F.conv2d(_stacked_pairs(features[0]), kernel, head.first.bias)
    assert torch.allclose(head(features)[0], explicit.view(CELLS, CELLS), atol=1e-6)


def test_the_hidden_head_is_such_a_convolution_with_many_kernels_then_relu_and_1x1():
    torch.manual_seed(0)
    head = HiddenPairs(CHANNELS, 7)
    features = torch.randn(1, CHANNELS, SIDE, SIDE)
    kernels = torch.stack((head.first.weight, head.second.weight), dim=2)[..., None]
    explicit = F.conv2d(_stacked_pairs(features[0]), kernels, head.first.bias).relu()
    explicit = F.conv2d(explicit, head.out.weight[..., None, None], head.out.bias)
    assert torch.allclose(head(features)[0], explicit.view(CELLS, CELLS), atol=1e-5)


def test_the_absolute_difference_head_is_symmetric_with_a_constant_diagonal():
    logits = AbsoluteDifferencePairs(CHANNELS, 8)(torch.randn(2, CHANNELS, SIDE, SIDE))
    assert torch.allclose(logits, logits.transpose(1, 2), atol=1e-6)
    diagonal = torch.diagonal(logits, dim1=1, dim2=2)
    assert torch.allclose(diagonal, diagonal[:1, :1].expand_as(diagonal), atol=1e-6)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The toys are too small to share out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def xor_loss(name: str, steps: int = 250) -> float:
    """BCE reached on cells of which half are forged, a toy whose pair target is XOR of two bits.

    Always predicting the share of differing pairs, one half, costs ln 2 = 0.693.
    """
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    head = build_pair_head(name, CHANNELS, 16)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    direction = torch.randn(CHANNELS, generator=generator)
    loss = torch.tensor(math.nan)
    for _ in range(steps):
        order = torch.rand(8, CELLS, generator=generator).argsort(dim=1)
        mask = (order < CELLS // 2).float().view(8, 1, SIDE, SIDE)
        noise = 0.1 * torch.randn(8, CHANNELS, SIDE, SIDE, generator=generator)
        features = (2.0 * mask - 1.0) * direction.view(1, -1, 1, 1) + noise
        loss = F.binary_cross_entropy_with_logits(head(features), pair_target(mask, SIDE))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return loss.item()


@pytest.mark.parametrize("name", ["hidden", "absdiff", "bilinear"])
def test_a_head_that_can_express_xor_learns_it(name):
    assert xor_loss(name) < 0.05


def test_the_literal_head_stays_at_the_constant_predictor():
    assert xor_loss("additive") == pytest.approx(math.log(2.0), abs=0.02)


def test_a_hidden_head_without_its_relu_is_noticed(monkeypatch):
    monkeypatch.setattr(pair_head.torch, "relu", lambda x: x)
    assert xor_loss("hidden", steps=150) > 0.5


def target_matches_the_product() -> bool:
    """Eq. 3-4 with the Cartesian product built, as the paper writes it."""
    mask = (torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    mask[0] = 0.0
    got = pair_target(mask, SIDE)
    for b in range(3):
        cells = F.avg_pool2d(mask[b : b + 1], 8).flatten().ge(0.5).float()
        product = torch.cartesian_prod(cells, cells).view(CELLS, CELLS, 2)
        if not torch.equal(got[b], (product[..., 0] - product[..., 1]).abs()):
            return False
    return bool(got[1:].sum() > 0 and got[0].sum() == 0)


def test_the_target_is_the_xor_of_two_forged_cells():
    assert target_matches_the_product()


def test_comparing_shares_before_making_them_binary_is_noticed(monkeypatch):
    def shares(mask: torch.Tensor, side: int, threshold: float = 0.5) -> torch.Tensor:
        return F.adaptive_avg_pool2d(mask, (side, side)).flatten(1)

    monkeypatch.setattr(targets, "forged_cells", shares)
    assert not target_matches_the_product()


def test_a_cell_is_forged_from_half_its_area_on():
    mask = torch.zeros(1, 1, 28, 28)
    mask[..., :2, 0] = 1.0
    mask[..., 4, 4] = 1.0
    assert forged_cells(mask, 14).nonzero()[:, 1].tolist() == [0]


def test_the_map_is_symmetrised_at_read_out_only_where_asked():
    logits = torch.randn(1, 9, 9)
    shown = inconsistency_map(logits, symmetrise=True)
    assert torch.allclose(shown, shown.transpose(1, 2))
    assert torch.equal(inconsistency_map(logits, symmetrise=False), logits.sigmoid())
    assert odd_cells(shown, 3).shape == (1, 1, 3, 3)
    assert odd_cells(shown, 3)[0, 0, 0, 1] == pytest.approx(float(shown[0, 1].mean()))


def test_every_head_name_builds_a_head():
    for name in ("hidden", "absdiff", "bilinear", "additive"):
        head = build_pair_head(name, CHANNELS, 4)
        assert isinstance(head, nn.Module)
        assert head(torch.zeros(2, CHANNELS, SIDE, SIDE)).shape == (2, CELLS, CELLS)
