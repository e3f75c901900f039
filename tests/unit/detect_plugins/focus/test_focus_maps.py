"""FoCus's equations as pure functions, against sums written out, and mutations that they catch."""

import pytest
import torch

from detect_plugins.focus import maps, modules
from detect_plugins.focus.maps import car_map, forged_map, fused_map
from detect_plugins.focus.modules import ComplementaryLearning, region_logits, select
from detect_plugins.focus.targets import quantised, supervision_map


def _example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    class_maps = torch.randn(2, 2, 3, 4, 5, generator=generator)
    return class_maps, torch.rand(2, 2, generator=generator).softmax(dim=1)


def error_of_equation_9() -> float:
    class_maps, p = _example()
    got = forged_map(class_maps, p)
    expected = torch.stack(
        [p[b, 1] * (sum(class_maps[b, 1, k] for k in range(3)) / 3.0) for b in range(2)]
    )
    return float((got[:, 0] - expected).abs().max())


def test_the_forged_map_weighs_the_forged_class_by_its_own_score():
    assert error_of_equation_9() < 1e-6


def test_taking_the_real_class_is_noticed(monkeypatch):
    monkeypatch.setattr(maps, "FORGED", 0)
    assert error_of_equation_9() > 0.1


def test_nothing_of_the_real_class_enters_the_forged_map():
    class_maps, p = _example()
    before = forged_map(class_maps, p)
    class_maps[:, 0] += 100.0
    p[:, 0] += 100.0
    assert torch.equal(forged_map(class_maps, p), before)
    p[:, 1] = 0.0
    assert forged_map(class_maps, p).abs().max() == 0.0


def test_the_car_map_sums_both_classes_each_by_its_score():
    class_maps, p = _example()
    expected = sum(p[:, c, None, None] * class_maps[:, c].mean(dim=1) for c in range(2))
    assert torch.allclose(car_map(class_maps, p)[:, 0], expected, atol=1e-6)
    # For a sure fake the two maps all but agree, as the paper observes.
    sure = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert torch.allclose(car_map(class_maps, sure), forged_map(class_maps, sure))


def test_fusion_takes_each_place_from_the_modality_that_won():
    rgb, second = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 7.0)
    selection = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])
    assert fused_map(rgb, second, selection).flatten().tolist() == [1.0, 7.0, 7.0, 1.0]


def test_a_class_scores_the_mean_of_its_maps_maxima():
    class_maps = torch.zeros(1, 2, 2, 3, 3)
    class_maps[0, 1, 0, 1, 2] = 4.0
    class_maps[0, 1, 1, 0, 0] = 2.0
    class_maps[0, 0, 0, 2, 2] = 1.0
    assert region_logits(class_maps).tolist() == [[0.5, 3.0]]


def evaluation_repeats() -> bool:
    """Whether an evaluated selection is the same at every call, of 0 and 1, and by plain comparison."""
    torch.manual_seed(0)
    learning = ComplementaryLearning(8, tau=1.0).eval()
    rgb, second = torch.randn(2, 2, 64, 8)
    calls = [learning(rgb, second)[1] for _ in range(3)]
    scores = torch.cat((learning.score_rgb(rgb), learning.score_second(second)), dim=-1)
    plain = (scores[..., 1:] > scores[..., :1]).float()
    return all(torch.equal(kept, plain) for kept in calls)


def test_evaluation_selects_by_plain_comparison():
    assert evaluation_repeats()


def test_gumbel_noise_at_evaluation_is_noticed(monkeypatch):
    monkeypatch.setattr(
        modules, "select", lambda scores, *, tau, sample: select(scores, tau=tau, sample=True)
    )
    assert not evaluation_repeats()


def test_training_selects_hard_at_random_and_passes_gradients_to_both_scores():
    torch.manual_seed(0)
    learning = ComplementaryLearning(8, tau=1.0).train()
    rgb, second = torch.randn(2, 2, 64, 8)
    fused, kept = learning(rgb, second)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(kept, learning(rgb, second)[1])
    fused.square().sum().backward()
    for score in (learning.score_rgb, learning.score_second):
        assert score[0].weight.grad.abs().sum() > 0


def test_fused_tokens_are_the_tokens_that_won():
    torch.manual_seed(1)
    learning = ComplementaryLearning(8, tau=1.0).eval()
    rgb, second = torch.randn(2, 1, 32, 8)
    fused, kept = learning(rgb, second)
    assert torch.equal(fused, torch.where(kept > 0, second, rgb))


def test_swapping_the_streams_swaps_the_selection():
    torch.manual_seed(2)
    learning = ComplementaryLearning(8, tau=1.0).eval()
    rgb, second = torch.randn(2, 2, 64, 8)
    fused, kept = learning(rgb, second)
    learning.score_rgb, learning.score_second = learning.score_second, learning.score_rgb
    swapped, other = learning(second, rgb)
    assert torch.equal(other, 1.0 - kept)
    assert torch.equal(swapped, fused)


def test_supervision_is_positive_reaches_one_and_is_zero_for_real_faces():
    fused = torch.tensor([[-1.0, 2.0, 4.0, 0.0], [9.0, 1.0, 3.0, 2.0], [-1.0, -2.0, -3.0, 0.0]])
    out = supervision_map(fused.view(3, 1, 2, 2), torch.tensor([1, 0, 1]))
    assert out[0].flatten().tolist() == [0.0, 0.5, 1.0, 0.0]
    assert out[1].abs().max() == 0.0
    assert out[2].abs().max() == 0.0
    assert torch.isfinite(out).all()


def test_stored_maps_come_back_within_half_a_step():
    stored = quantised(torch.tensor([0.0, 0.5, 1.0, 0.123]))
    assert stored.dtype == torch.uint8
    assert (stored / 255).tolist() == pytest.approx([0.0, 0.5, 1.0, 0.123], abs=0.51 / 255)
