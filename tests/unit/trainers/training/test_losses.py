"""Every loss against numbers worked out by hand."""

import math
from typing import ClassVar

import pytest
import torch

from trainers.config import FocusLoss, FpnLoss, LlsmLoss, LrlLoss, SolaLoss
from trainers.training import losses
from trainers.training.losses import Truth

LN2 = math.log(2.0)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def truth(labels: list[float], mask: torch.Tensor, known: list[bool] | None = None) -> Truth:
    """Masks (B, h, w); `known`: whose mask is known."""
    seen = torch.tensor(known or [True] * len(labels))
    return Truth(
        label=torch.tensor(labels), mask=mask[:, None].float(), has_mask=seen, has_seam=seen
    )


def sola_aux(first: float, second: float, batch: int, grid: int = 4) -> dict[str, torch.Tensor]:
    return {
        "first": torch.full((batch, 4, 64, grid, grid), first),
        "second": torch.full((batch, 4, grid, grid), second),
    }


class TestSola:
    def test_classification_is_the_mean_cross_entropy(self) -> None:
        logit = torch.tensor([[2.0], [-1.0]])
        terms = losses.sola_loss(
            logit, sola_aux(0, 0, 2), truth([1, 0], torch.zeros(2, 8, 8)), SolaLoss(beta=0, gamma=0)
        )
        assert terms["loss"].item() == pytest.approx((softplus(-2.0) + softplus(-1.0)) / 2)

    def test_weak_mode_sums_the_mean_map_over_four_neighbours_of_reals_only(self) -> None:
        aux = sola_aux(0.0, 0.0, 2)
        aux["second"][0] = 50.0  # the forged image: whatever its maps say costs nothing
        config = SolaLoss(mode="weak", alpha=0.0, beta=0.1, gamma=0.2)
        terms = losses.sola_loss(
            torch.zeros(2, 1), aux, truth([1, 0], torch.zeros(2, 8, 8)), config
        )
        assert terms["first"].item() == pytest.approx(4 * 0.5)
        assert terms["second"].item() == pytest.approx(4 * 0.5)
        assert terms["loss"].item() == pytest.approx(0.1 * 2 + 0.2 * 2)

    def test_weak_mode_is_zero_on_forgeries_alone(self) -> None:
        config = SolaLoss(mode="weak", alpha=0.0)
        terms = losses.sola_loss(
            torch.zeros(1, 1), sola_aux(3, 3, 1), truth([1], torch.ones(1, 8, 8)), config
        )
        assert terms["loss"].item() == 0.0

    def test_supervised_mode_wants_ones_only_at_the_seam(self) -> None:
        # Left half forged: of 4 x 4 cells, column 2 differs from its left neighbour (h1), columns
        # 2 and 3 from the cell two to the left (h2); no cell from one above. With zero logits each
        # cell costs ln 2 whatever its target.
        mask = torch.zeros(1, 8, 8)
        mask[:, :, :4] = 1
        config = SolaLoss(mode="supervised", alpha=0.0, beta=1.0, gamma=0.0)
        zero = losses.sola_loss(torch.zeros(1, 1), sola_aux(0, 0, 1), truth([1], mask), config)
        assert zero["first"].item() == pytest.approx(4 * LN2)
        # With every logit at 3: a target of 1 costs softplus(-3), a 0 costs softplus(3). 4 of 16
        # cells are 1 in h1, 8 of 16 in h2, none in v1 and v2.
        high = losses.sola_loss(torch.zeros(1, 1), sola_aux(3, 0, 1), truth([1], mask), config)
        on, off = softplus(-3.0), softplus(3.0)
        by_hand = 2 * off + (4 * on + 12 * off) / 16 + (8 * on + 8 * off) / 16
        assert high["first"].item() == pytest.approx(by_hand, rel=1e-5)

    def test_a_picture_without_a_seam_takes_no_part_in_the_seam_terms(self) -> None:
        config = SolaLoss(mode="supervised", alpha=0.0, beta=1.0, gamma=1.0)
        terms = losses.sola_loss(
            torch.zeros(2, 1),
            sola_aux(3, 3, 2),
            truth([1, 0], torch.ones(2, 8, 8), [False, True]),
            config,
        )
        assert terms["first"].item() == pytest.approx(4 * softplus(3.0), rel=1e-5)

    def test_a_generated_picture_whose_mask_is_known_has_no_seam_all_the_same(self) -> None:
        """Its mask says "forged everywhere": that is no border that SOLA could find."""
        told = Truth(
            label=torch.tensor([1.0, 0.0]),
            mask=torch.ones(2, 1, 8, 8),
            has_mask=torch.tensor([True, True]),
            has_seam=torch.tensor([False, True]),
        )
        aux = sola_aux(0.0, 0.0, 2)
        aux["first"][0] = aux["second"][0] = 50.0  # whatever its maps say costs nothing
        config = SolaLoss(mode="supervised", alpha=0.0, beta=1.0, gamma=1.0)
        terms = losses.sola_loss(torch.zeros(2, 1), aux, told, config)
        assert terms["first"].item() == pytest.approx(4 * LN2)
        assert terms["second"].item() == pytest.approx(4 * LN2)

    def test_equal_maps_are_fully_correlated_and_opposite_ones_too(self) -> None:
        ramp = torch.arange(16.0).view(1, 1, 4, 4)
        same = ramp.expand(1, 4, 4, 4)
        assert losses.decorrelation(same).item() == pytest.approx(1.0)
        config = SolaLoss(alpha=0.0, beta=0.0, gamma=0.0, decorrelation=0.5)
        aux = {"first": torch.zeros(1, 4, 64, 4, 4), "second": same}
        terms = losses.sola_loss(torch.zeros(1, 1), aux, truth([0], torch.zeros(1, 8, 8)), config)
        assert terms["loss"].item() == pytest.approx(0.5)


class TestLrl:
    def test_a_real_wants_full_similarity_and_an_empty_map(self) -> None:
        aux = {"similarity": torch.full((1, 25, 25), 0.75), "map_logits": torch.zeros(1, 1, 10, 10)}
        terms = losses.lrl_loss(
            torch.zeros(1, 1), aux, truth([0], torch.zeros(1, 20, 20)), LrlLoss(sim_norm="mse")
        )
        assert terms["sim"].item() == pytest.approx(0.0625)
        assert terms["seg"].item() == pytest.approx(LN2)
        assert terms["loss"].item() == pytest.approx(LN2 + 10 * 0.0625 + LN2)

    def test_the_unsquared_norm_is_the_root_of_the_sum(self) -> None:
        aux = {"similarity": torch.full((1, 25, 25), 0.75), "map_logits": torch.zeros(1, 1, 4, 4)}
        config = LrlLoss(similarity=1.0, segmentation=0.0, sim_norm="l2")
        terms = losses.lrl_loss(torch.zeros(1, 1), aux, truth([0], torch.zeros(1, 20, 20)), config)
        assert terms["sim"].item() == pytest.approx(25 * 0.25)

    def test_a_forgery_without_a_mask_only_classifies(self) -> None:
        aux = {"similarity": torch.zeros(1, 25, 25), "map_logits": torch.ones(1, 1, 4, 4)}
        terms = losses.lrl_loss(
            torch.zeros(1, 1), aux, truth([1], torch.zeros(1, 20, 20), [False]), LrlLoss()
        )
        assert terms["loss"].item() == pytest.approx(LN2)


class TestLlsm:
    def test_pairs_across_the_seam_are_different(self) -> None:
        # Half of four cells forged: of 16 ordered pairs, 8 differ.
        mask = torch.zeros(1, 4, 4)
        mask[:, :2] = 1
        aux = {"pair_logits": torch.full((1, 4, 4), 2.0), "map_logits": torch.zeros(1, 1, 4, 4)}
        terms = losses.llsm_loss(
            torch.zeros(1, 1), aux, truth([1], mask), LlsmLoss(alpha=0.5, beta=0.25)
        )
        by_hand = (softplus(-2.0) + softplus(2.0)) / 2
        assert terms["ls"].item() == pytest.approx(by_hand, rel=1e-5)
        assert terms["loss"].item() == pytest.approx(LN2 + 0.5 * by_hand + 0.25 * LN2, rel=1e-5)


class TestFocus:
    AUX: ClassVar = {
        "logits": torch.tensor([[0.0, 1.0]]),
        "logits_rgb": torch.tensor([[0.0, 2.0]]),
        "logits_second": torch.tensor([[1.0, 0.0]]),
    }

    @pytest.mark.parametrize("on", ["loc", "cls"])
    def test_lambda_weighs_the_term_that_the_config_names(self, on: str) -> None:
        wanted = truth([1], torch.zeros(1, 2, 2))
        terms = losses.focus_loss(self.AUX, wanted, FocusLoss(lam=0.1, lam_on=on))  # type: ignore[arg-type]
        classify, localise = softplus(-1.0), softplus(-2.0) + softplus(1.0)
        a, b = (1.0, 0.1) if on == "loc" else (0.1, 1.0)
        assert terms["loss"].item() == pytest.approx(a * classify + b * localise)

    def test_one_modality_has_one_localisation_term(self) -> None:
        aux = {k: v for k, v in self.AUX.items() if k != "logits_second"}
        terms = losses.focus_loss(aux, truth([1], torch.zeros(1, 2, 2)), FocusLoss())
        assert terms["loc"].item() == pytest.approx(softplus(-2.0))


class TestFpn:
    def test_the_map_weighs_a_tenth_and_wants_nothing_on_reals(self) -> None:
        aux = {
            "logits": torch.zeros(2, 2),
            "map_logits": torch.tensor([2.0, 2.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4),
        }
        both = truth([1, 0], torch.ones(2, 4, 4))
        terms = losses.fpn_loss(aux, both, FpnLoss(map_weight=0.1))
        drawn = (softplus(-2.0) + softplus(2.0)) / 2
        assert terms["map"].item() == pytest.approx(drawn, rel=1e-5)
        assert terms["loss"].item() == pytest.approx(LN2 + 0.1 * drawn, rel=1e-5)

    def test_soft_targets_are_kept_soft(self) -> None:
        aux = {"logits": torch.zeros(1, 2), "map_logits": torch.zeros(1, 1, 2, 2) + 1.0}
        terms = losses.fpn_loss(aux, truth([1], torch.full((1, 2, 2), 0.25)), FpnLoss())
        assert terms["map"].item() == pytest.approx(softplus(1.0) - 0.25, rel=1e-5)

    def test_without_a_map_branch_only_the_classifier_counts(self) -> None:
        aux = {"logits": torch.tensor([[0.0, 3.0]])}
        terms = losses.fpn_loss(aux, truth([1], torch.ones(1, 2, 2)), FpnLoss())
        assert terms["loss"].item() == pytest.approx(softplus(-3.0))


def test_each_config_gets_its_own_loss() -> None:
    aux = {"logits": torch.zeros(1, 2)}
    terms = losses.loss_for(FpnLoss())(torch.zeros(1, 1), aux, truth([1], torch.ones(1, 2, 2)))
    assert set(terms) == {"loss", "cls"}
