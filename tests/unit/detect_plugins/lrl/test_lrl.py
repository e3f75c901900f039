"""LRL's network: taps, streams, attention and every ablation switch."""

import pytest
import torch
from pydantic import ValidationError

from detect_plugins.layers.xception import XceptionStages, mean_over_rgb
from detect_plugins.lrl.config import LrlConfig
from detect_plugins.lrl.modules import Rfam
from detect_plugins.lrl.network import FrequencyImage, Lrl


@pytest.fixture(scope="module")
def small() -> Lrl:
    """Three cells wide at the top, cut into 3 x 3 patches."""
    torch.manual_seed(0)
    return Lrl(LrlConfig(input_px=96, patches=3)).eval()


@pytest.mark.parametrize(
    ("backbone", "shapes"),
    [
        ("legacy_xception", [(256, 37), (728, 19), (2048, 10)]),
        ("efficientnet_b4", [(56, 38), (160, 19), (448, 10)]),
    ],
)
def test_the_three_levels_have_the_sizes_of_the_reference(backbone, shapes):
    config = LrlConfig(backbone=backbone)
    with torch.device("meta"):
        network = Lrl(config)
    for trunk, channels in ((network.rgb, 3), (network.frequency, 1)):
        x = torch.empty(2, channels, 299, 299, device="meta")
        for stage, (width, side) in zip(trunk, shapes, strict=True):
            x = stage(x)
            assert x.shape == (2, width, side, side)
    assert config.sides == tuple(side for _, side in shapes)
    output = network(torch.empty(2, 3, 299, 299, device="meta"))
    assert output.aux["similarity"].shape == (2, 25, 25)
    assert output.aux["map_logits"].shape == (2, 1, 160, 160)
    assert output.heatmap.shape == (2, 1, 160, 160)


@pytest.mark.parametrize(
    ("switches", "absent"),
    [
        ({"use_frequency": False}, ("frequency", "rfam")),
        ({"use_rfam": False}, ("rfam",)),
        ({"use_mpsm": False}, ("similarity",)),
        ({"use_decoder": False}, ("map_logits",)),
        ({"rfam_hidden": "C", "rfam_forward": "raw"}, ()),
        ({"sim_mlp": True}, ()),
        ({"patches": 2}, ()),
    ],
)
def test_every_part_can_be_left_out(switches, absent):
    with torch.device("meta"):
        network = Lrl(LrlConfig(**switches))
    output = network(torch.empty(2, 3, 299, 299, device="meta"))
    assert output.logit.shape == (2, 1)
    assert output.heatmap.shape == (2, 1, 160, 160)
    present = {
        *output.aux,
        *(name for name, child in network.named_children() if list(child.parameters())),
    }
    assert present.isdisjoint(absent)
    assert {"features", "rgb"} <= present


def test_a_config_whose_patches_do_not_divide_the_map_is_refused():
    with pytest.raises(ValidationError, match="not a multiple of patches=4"):
        LrlConfig(patches=4)
    with pytest.raises(ValidationError, match="Keep one of them"):
        LrlConfig(use_mpsm=False, use_decoder=False)


def test_taps_come_before_activation_so_that_cosines_may_be_negative(small):
    x = small.normalise(torch.rand(1, 3, 96, 96))
    for stage in small.rgb:
        x = stage(x)
        assert x.min() < 0.0 < x.max()


def test_the_stages_give_what_timm_gives():
    torch.manual_seed(0)
    stages = XceptionStages().eval()
    net = stages_as_timm(stages)
    image = torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        assert torch.allclose(torch.relu(stages(image)[-1]), net.forward_features(image), atol=1e-5)


def stages_as_timm(stages: XceptionStages):
    """A fresh timm Xception with the weights of `stages`."""
    import timm

    net = timm.create_model("legacy_xception", pretrained=False, num_classes=0).eval()
    renamed = {}
    for name, tensor in stages.state_dict().items():
        part, _, rest = name.partition(".")
        index, _, tail = rest.partition(".")
        names = {
            "stem": {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2"},
            "middle": {str(n): f"block{n + 3}" for n in range(9)},
            "tail": {"0": "block12", "1": "conv3", "2": "bn3", "4": "conv4", "5": "bn4"},
        }
        renamed[f"{names[part][index]}.{tail}" if part in names else name] = tensor
    net.load_state_dict(renamed)
    return net


def test_attention_weights_lie_between_zero_and_one_and_gate_both_streams(small):
    rgb, frequency = torch.randn(2, 2, 256, 12, 12)
    a_rgb, a_frequency = small.rfam[0](rgb, frequency)
    assert a_rgb.shape == a_frequency.shape == (2, 1, 12, 12)
    assert 0.0 < a_rgb.min() < a_rgb.max() < 1.0
    gated_rgb, gated_frequency, fused = small._fuse(0, rgb, frequency)
    assert torch.equal(gated_rgb, a_rgb * rgb)
    assert torch.equal(fused, gated_rgb + gated_frequency)
    small.config = small.config.model_copy(update={"rfam_forward": "raw"})
    try:
        raw_rgb, raw_frequency, same = small._fuse(0, rgb, frequency)
    finally:
        small.config = small.config.model_copy(update={"rfam_forward": "gated"})
    assert raw_rgb is rgb
    assert raw_frequency is frequency
    assert torch.equal(same, fused)


def test_rfam_mixes_at_the_width_asked_for():
    assert Rfam(8, 16).mix[0].weight.shape == (16, 16, 1, 1)
    assert Rfam(8, 8).mix[0].weight.shape == (8, 16, 1, 1)


def test_the_frequency_image_is_scaled_by_a_constant_and_clamped():
    config = LrlConfig(input_px=96, patches=3)
    image = torch.rand(1, 3, 96, 96)
    front = FrequencyImage(config)
    residual = front.high_pass(image)
    assert front(image).abs().max() == 5.0
    faint = front(image * 1e-2)
    assert torch.allclose(faint, residual * 1e-2 / 0.01, atol=1e-4)


def test_the_frequency_trunk_starts_from_the_mean_colour_kernel():
    conv = torch.nn.Conv2d(3, 4, 3, stride=2, bias=False)
    grey = mean_over_rgb(conv, 1)
    x = torch.rand(1, 1, 9, 9)
    assert torch.allclose(grey(x) * 3.0, conv(x.expand(1, 3, 9, 9)), atol=1e-5)


def test_scores_and_masks_lie_between_zero_and_one(small):
    with torch.inference_mode():
        p, maps = small.export_forward(torch.rand(2, 3, 96, 96))
    assert p.shape == (2,)
    assert maps.shape == (2, 48, 48)
    assert min(p.min(), maps.min()) >= 0.0
    assert max(p.max(), maps.max()) <= 1.0


def test_streams_without_attention_are_concatenated_at_their_final_maps_or_added() -> None:
    image = torch.rand(2, 3, 150, 150)
    small = {"input_px": 150, "use_rfam": False, "use_mpsm": False}
    beside = Lrl(LrlConfig(**small)).eval()
    summed = Lrl(LrlConfig(**small, without_rfam="add")).eval()
    assert beside.classifier.in_features == 2 * 2048
    assert summed.classifier.in_features == 256 + 728 + 2048
    with torch.no_grad():
        features = beside(image).aux["features"]
        rgb, frequency = beside.normalise(image), beside.frequency_image(image)
        for level in range(3):
            rgb, frequency = beside.rgb[level](rgb), beside.frequency[level](frequency)
    wanted = torch.cat((rgb, frequency), dim=1).mean(dim=(2, 3))
    torch.testing.assert_close(features, wanted, rtol=0, atol=1e-5)
