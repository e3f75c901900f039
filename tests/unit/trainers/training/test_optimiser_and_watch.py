"""Who learns how fast, and what is watched beside the losses."""

import torch

from detect_plugins.focus.config import FocusConfig
from detect_plugins.focus.network import Focus
from detect_plugins.sola.config import SolaConfig
from detect_plugins.sola.network import Sola
from trainers.config import FocusLoss, TrainConfig
from trainers.training.health import CollapseAlarm, watched
from trainers.training.losses import Truth, focus_loss
from trainers.training.optimiser import build_optimiser


def config(**optimiser: object) -> TrainConfig:
    fields = {"name": "toy", "plugin": "sola", "steps": 1, "loss": {"kind": "sola"}}
    return TrainConfig.model_validate(fields | {"optimiser": optimiser})


def rates(network: torch.nn.Module, settings: TrainConfig) -> dict[str, tuple[float, float]]:
    """Name of each parameter -> its rate factor and weight decay."""
    groups = build_optimiser(network, settings).param_groups
    found = {id(p): (g["lr_factor"], g["weight_decay"]) for g in groups for p in g["params"]}
    return {n: found[id(p)] for n, p in network.named_parameters() if id(p) in found}


def sola(**changes: object) -> torch.nn.Module:
    return Sola(
        SolaConfig.model_validate({"preset": "fast", "width": 0.5, "input_px": 64, **changes})
    )


def test_constrained_filters_learn_at_their_own_rate_and_free_ones_as_all_do() -> None:
    assert rates(sola(), config(weight_decay=0.1))["asrm.weight"] == (0.1, 0.0)
    free = rates(sola(use_asrm=False, srm_learnable=True), config(weight_decay=0.1))
    assert free["asrm.weight"] == (1.0, 0.1)
    assert "asrm.weight" not in rates(sola(use_asrm=False), config())


def test_norms_and_biases_are_decayed_only_where_everything_is() -> None:
    some, every = (rates(sola(), config(weight_decay=0.1, decay=d)) for d in ("matrices", "all"))
    assert some["fc.bias"] == (1.0, 0.0) and every["fc.bias"] == (1.0, 0.1)
    assert some["fc.weight"] == every["fc.weight"] == (1.0, 0.1)


def test_four_maps_that_are_one_have_a_correlation_of_one() -> None:
    one = torch.randn(4, 1, 8, 8).expand(-1, 4, -1, -1)
    assert abs(watched({"second": one})["watch/correlation"] - 1.0) < 1e-4
    apart = watched({"second": torch.randn(64, 4, 16, 16)})["watch/correlation"]
    assert apart < 0.1


def test_a_filter_that_is_no_high_pass_any_more_answers_a_constant_picture() -> None:
    network = sola(use_asrm=False, srm_learnable=True)
    assert watched({}, network)["watch/constant_response"] < 1e-5
    network.asrm.weight.data[0, 0, 2, 2] += 0.5
    assert abs(watched({}, network)["watch/constant_response"] - 0.5) < 1e-5


def test_a_selection_of_one_modality_is_told_of_once_when_it_lasts() -> None:
    alarm = CollapseAlarm(patience=3)
    said = [
        alarm.see({"selection": torch.full((2, 1, 4, 4), v)}, n) for n, v in enumerate([1.0] * 5)
    ]
    assert said == [False, False, True, False, False]
    assert not alarm.see({"selection": torch.full((2, 1, 4, 4), 0.5)}, 6)
    said = [alarm.see({"selection": torch.zeros(2, 1, 4, 4)}, n) for n in range(7, 10)]
    assert said == [False, False, True]


def test_balance_pulls_the_selection_towards_a_half_and_is_off_unless_set() -> None:
    torch.manual_seed(0)
    network = Focus(FocusConfig(trunk="deit_tiny_patch16_224", input_px=64)).train()
    assert network.select is not None
    network.select.score_second[2].bias.data.fill_(3.0)
    truth = Truth(
        torch.tensor([0.0, 1.0]), torch.zeros(2, 1, 64, 64), torch.ones(2) > 0, torch.ones(2) > 0
    )
    aux = network(torch.rand(2, 3, 64, 64)).aux
    plain, pulled = (
        focus_loss(aux, truth, FocusLoss()),
        focus_loss(aux, truth, FocusLoss(balance=1.0)),
    )
    assert "balance" not in plain and pulled["balance"] > 0.5
    network.zero_grad()
    pulled["balance"].backward()
    assert network.select.score_second[2].bias.grad > 0  # a step lowers the second's score
