"""LLSM's network: encoder, localisation decoder, attention, and what serving leaves out."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from detect_plugins.llsm.config import LlsmConfig
from detect_plugins.llsm.localisation import Claffm, pooling_matrix
from detect_plugins.llsm.network import Llsm


@pytest.fixture(scope="module")
def small() -> Llsm:
    torch.manual_seed(0)
    return Llsm(LlsmConfig(input_px=96, cls_from="both")).eval()


def test_encoder_and_decoder_have_the_sizes_of_the_reference():
    with torch.device("meta"):
        network = Llsm(LlsmConfig())
    seen = []
    for stage in (network.localise.bottom, *network.localise.stages):
        stage.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[1:])))
    maps, tapped = network._encode(torch.empty(1, 3, 224, 224, device="meta"))
    assert [tuple(m.shape[1:3]) for m in maps] == [
        (64, 109), (128, 55), (256, 28), (728, 14), (2048, 7)
    ]  # fmt: skip
    assert tapped.shape == (1, 728, 14, 14)
    output = network(torch.empty(1, 3, 224, 224, device="meta"))
    assert [shape[:2] for shape in seen] == [(512, 7), (256, 14), (128, 28), (64, 55), (32, 109)]
    assert output.aux["pair_logits"].shape == (1, 196, 196)
    assert output.aux["map_logits"].shape == (1, 1, 109, 109)
    assert output.heatmap.shape == (1, 1, 109, 109)


@pytest.mark.parametrize(
    ("switches", "features", "absent"),
    [
        ({}, 32, set()),
        ({"cls_from": "encoder"}, 2048, set()),
        ({"cls_from": "both"}, 2080, set()),
        ({"use_claffm": False}, 32, set()),
        ({"use_llsm": False}, 32, {"pair_logits"}),
        ({"use_flm": False, "cls_from": "encoder"}, 2048, {"map_logits"}),
        ({"pair_head": "bilinear", "pair_tap": "block7"}, 32, set()),
    ],
)
def test_every_part_can_be_left_out(switches, features, absent):
    with torch.device("meta"):
        network = Llsm(LlsmConfig(**switches))
    output = network(torch.empty(2, 3, 224, 224, device="meta"))
    assert output.logit.shape == (2, 1)
    assert output.heatmap.shape == (2, 1, 109, 109)
    assert output.aux["features"].shape == (2, features)
    assert {"pair_logits", "map_logits"} - set(output.aux) == absent


def test_a_decoder_classifier_without_a_decoder_is_refused():
    with pytest.raises(ValidationError, match='cls_from = "encoder"'):
        LlsmConfig(use_flm=False)


def test_the_pair_head_runs_in_training_and_on_request_but_not_when_serving(small):
    calls = []
    handle = small.pairs.register_forward_hook(lambda *_: calls.append(1))
    image = torch.rand(1, 3, 96, 96)
    try:
        with torch.inference_mode():
            small.export_forward(image)
            small.export_forward_with_features(image)
            assert calls == []
            small(image)
            inconsistency, odd = small.pair_artefact(image)
    finally:
        handle.remove()
    assert len(calls) == 2
    side = small.config.sides[3]
    assert inconsistency.shape == (1, side**2, side**2)
    assert torch.allclose(inconsistency, inconsistency.transpose(1, 2))
    assert odd.shape == (1, 1, side, side)


def test_asking_for_the_pair_map_of_a_network_without_one_says_why():
    with torch.device("meta"):
        network = Llsm(LlsmConfig(use_llsm=False))
    with pytest.raises(ValueError, match="use_llsm = false"):
        network.pair_artefact(torch.empty(1, 3, 224, 224, device="meta"))


@pytest.mark.parametrize("side", [4, 7, 14, 28, 55, 109])
def test_constant_pooling_equals_adaptive_average_pooling(side):
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(side))
    pool = pooling_matrix(side)
    assert torch.allclose(pool @ x @ pool.T, F.adaptive_avg_pool2d(x, 4), atol=1e-6)


def test_the_attention_weighs_channels_by_the_previous_stage_alone():
    torch.manual_seed(0)
    claffm = Claffm(channels=6, previous=3, previous_side=7, reduction=2)
    a, b = torch.randn(2, 6, 14, 14), torch.randn(2, 3, 7, 7)
    weights = claffm(a, b) / a
    assert torch.allclose(weights, weights[:, :, :1, :1].expand_as(weights), atol=1e-4)
    assert 0.0 < weights.min() < weights.max() < 1.0
    assert torch.allclose(claffm(2.0 * a, b), 2.0 * claffm(a, b))
    assert not torch.allclose(claffm(a, 2.0 * b), claffm(a, b))


def test_every_loss_reaches_the_encoder(small):
    image = torch.rand(1, 3, 96, 96)
    for pick in ("logit", "pair_logits", "map_logits"):
        small.zero_grad()
        output = small(image)
        (output.logit if pick == "logit" else output.aux[pick]).sum().backward()
        assert small.get_parameter("encoder.net.stem.0.weight").grad.abs().sum() > 0, pick


def test_scores_and_masks_lie_between_zero_and_one(small):
    with torch.inference_mode():
        p, maps, features = small.export_forward_with_features(torch.rand(2, 3, 96, 96))
    assert p.shape == (2,)
    assert maps.shape == (2, 45, 45)
    assert features.shape == (2, 2080)
    assert min(p.min(), maps.min()) >= 0.0
    assert max(p.max(), maps.max()) <= 1.0
