"""MPSM and its targets: oracles by explicit loops, and mutations that they catch."""

import pytest
import torch

from detect_plugins.lrl import modules
from detect_plugins.lrl.modules import SimilarityClassifier, odd_patches, patch_similarity
from detect_plugins.lrl.targets import (
    averaging_matrix,
    difference_mask,
    forged_shares,
    similarity_target,
)


def error_against_loops() -> float:
    """Eq. 7 written out for 3 x 3 patches of 2 x 2 cells."""
    features = torch.randn(2, 5, 6, 6, generator=torch.Generator().manual_seed(0))
    got = patch_similarity(features, 3)
    worst = 0.0
    for b in range(2):
        patches = [
            features[b, :, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2].flatten()
            for r in range(3)
            for c in range(3)
        ]
        for i, one in enumerate(patches):
            for j, two in enumerate(patches):
                expected = (torch.cosine_similarity(one, two, dim=0) + 1.0) / 2.0
                worst = max(worst, float((expected - got[b, i, j]).abs()))
    return worst


def test_similarities_equal_the_loops():
    assert error_against_loops() < 1e-5


def _without_permute(features: torch.Tensor, k: int) -> torch.Tensor:
    return features.reshape(features.shape[0], k * k, -1)


def _columns_first(features: torch.Tensor, k: int) -> torch.Tensor:
    return _patch_vectors(features.transpose(2, 3), k)


_patch_vectors = modules.patch_vectors


@pytest.mark.parametrize("broken", [_without_permute, _columns_first])
def test_pairing_the_wrong_cells_is_noticed(monkeypatch, broken):
    monkeypatch.setattr(modules, "patch_vectors", broken)
    assert error_against_loops() > 1e-2


def test_similarities_are_symmetric_one_on_the_diagonal_and_reach_below_a_half():
    features = torch.randn(2, 64, 10, 10, generator=torch.Generator().manual_seed(1))
    features[:, :, :2, :2] = -features[:, :, 2:4, 2:4]
    s = patch_similarity(features, 5)
    assert s.shape == (2, 25, 25)
    assert torch.allclose(s, s.transpose(1, 2), atol=1e-6)
    assert torch.allclose(torch.diagonal(s, dim1=1, dim2=2), torch.ones(2, 25), atol=1e-5)
    assert s.min() < 0.01
    assert s.max() <= 1.0 + 1e-6


def test_a_zero_patch_gives_a_finite_similarity():
    assert torch.isfinite(patch_similarity(torch.zeros(1, 4, 4, 4), 2)).all()


def test_the_odd_patch_is_the_one_unlike_the_others():
    features = torch.ones(1, 8, 4, 4)
    features[:, :, 2:, :2] = -1.0
    odd = odd_patches(patch_similarity(features, 2), 2)
    assert odd.shape == (1, 1, 2, 2)
    assert odd[0, 0].argmax() == 2
    assert odd[0, 0, 1, 0] == pytest.approx(0.75, abs=1e-5)


def test_a_mask_of_299_pixels_is_cut_into_60_60_60_60_59():
    strips = [len(part) for part in torch.arange(299).chunk(5)]
    assert strips == [60, 60, 60, 60, 59]
    assert [int(n) for n in (averaging_matrix(299, 5) > 0).sum(dim=1)] == strips


def error_of_shares() -> float:
    mask = (torch.rand(1, 1, 299, 299, generator=torch.Generator().manual_seed(2)) > 0.3).float()
    expected = torch.stack(
        [part.mean() for rows in mask[0, 0].chunk(5, 0) for part in rows.chunk(5, 1)]
    )
    return float((forged_shares(mask, 5)[0] - expected).abs().max())


def test_shares_average_the_pixels_that_exist():
    assert error_of_shares() < 1e-6


def test_dividing_the_short_strip_by_the_full_width_is_noticed(monkeypatch):
    def full_width(side: int, k: int) -> torch.Tensor:
        return (averaging_matrix(side, k) > 0).float() / -(-side // k)

    monkeypatch.setattr("detect_plugins.lrl.targets.averaging_matrix", full_width)
    assert error_of_shares() > 1e-3


def half_forged_blocks() -> bool:
    """Left half forged: similar within each half, dissimilar across."""
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., :20] = 1.0
    s = similarity_target(mask, 4)[0]
    left = torch.arange(16) % 4 < 2
    return torch.allclose(s, (left[:, None] == left[None, :]).float(), atol=1e-6)


def test_half_a_forged_face_gives_blocks_of_zeros_and_ones():
    assert half_forged_blocks()


def test_the_two_targets_differ_only_between():
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., :5] = 1.0
    square, absolute = similarity_target(mask, 2), similarity_target(mask, 2, "abs")
    assert square[0, 0, 1] == pytest.approx(0.75)
    assert absolute[0, 0, 1] == pytest.approx(0.5)
    assert torch.equal(square[0].diagonal(), torch.ones(4))


def test_a_real_face_has_ones_everywhere():
    assert torch.equal(similarity_target(torch.zeros(2, 1, 299, 299), 5), torch.ones(2, 25, 25))


def test_a_mask_too_small_for_its_patches_is_refused():
    with pytest.raises(ValueError, match="Use a larger mask"):
        averaging_matrix(4, 3)


def test_the_difference_mask_keeps_changes_over_the_threshold():
    real = torch.full((1, 3, 4, 4), 0.5)
    fake = real.clone()
    fake[..., 0, 0] += 0.16
    fake[..., 1, 1] -= 0.14
    # A change of one colour counts by its share of grey: 0.4 * 0.299 in red, 0.4 * 0.587 in green.
    fake[:, 0, 2, 2] += 0.4
    fake[:, 1, 3, 3] += 0.4
    mask = difference_mask(fake, real)
    assert mask.flatten().nonzero().flatten().tolist() == [0, 15]


def test_the_mlp_classifier_ignores_the_diagonal_and_the_linear_one_does_not():
    s = torch.rand(1, 9, 9)
    other = s + torch.eye(9)
    torch.manual_seed(0)
    mlp, linear = SimilarityClassifier(3, mlp=True).eval(), SimilarityClassifier(3, mlp=False)
    assert torch.equal(mlp(s), mlp(other))
    assert not torch.equal(linear(s), linear(other))
    s[0, 0, 1] += 1.0
    assert not torch.equal(mlp(s), mlp(other))
