"""EfficientNet-B4 + FPN: sizes, the map branch and its ablation, targets."""

import pytest
import torch

from detect_plugins.efficientnet_fpn.config import EfficientNetFpnConfig
from detect_plugins.efficientnet_fpn.network import EfficientNetFpn
from detect_plugins.efficientnet_fpn.targets import map_target


@pytest.fixture(scope="module")
def small() -> EfficientNetFpn:
    torch.manual_seed(0)
    return EfficientNetFpn(EfficientNetFpnConfig(backbone="efficientnet_b0", input_px=96)).eval()


@pytest.mark.parametrize(("px", "sides"), [(224, [56, 28, 14, 7]), (380, [95, 48, 24, 12])])
def test_taps_and_map_have_the_sizes_of_the_reference_at_both_inputs(px, sides):
    with torch.device("meta"):
        network = EfficientNetFpn(EfficientNetFpnConfig(input_px=px))
    taps, head = network.trunk(torch.empty(2, 3, px, px, device="meta"))
    assert [tuple(tap.shape) for tap in taps] == [
        (2, channels, side, side) for channels, side in zip((32, 56, 160, 448), sides, strict=True)
    ]
    assert head.shape == (2, 1792, sides[-1], sides[-1])
    output = network(torch.empty(2, 3, px, px, device="meta"))
    assert output.heatmap.shape == (2, 1, sides[0], sides[0])
    assert output.logit.shape == (2, 1)
    assert output.aux["logits"].shape == (2, 2)
    assert output.aux["features"].shape == (2, 2 * (32 + 56 + 160))


def test_the_score_is_the_softmax_of_the_forged_class(small):
    image = torch.rand(3, 3, 96, 96)
    with torch.inference_mode():
        output = small(image)
        p, maps = small.export_forward(image)
    assert torch.allclose(p, output.aux["logits"].softmax(dim=1)[:, 1], atol=1e-6)
    assert torch.equal(maps, output.heatmap[:, 0])
    assert maps.min() >= 0.0
    assert maps.max() <= 1.0


def test_without_the_map_branch_the_heatmap_adds_up_to_the_classifier():
    torch.manual_seed(1)
    config = EfficientNetFpnConfig(backbone="efficientnet_b0", input_px=96, use_map_branch=False)
    network = EfficientNetFpn(config).eval()
    with torch.inference_mode():
        output = network(torch.rand(2, 3, 96, 96))
    assert "map_logits" not in output.aux
    # Upsampling by a whole factor keeps the mean, and the mean of the activation map is the logit.
    mean = output.heatmap.double().logit().mean(dim=(1, 2, 3))
    assert mean.numpy() == pytest.approx(output.logit[:, 0].double().numpy(), abs=1e-4)


def test_the_map_loss_teaches_the_pyramid_and_the_trunk(small):
    small.zero_grad()
    small(torch.rand(1, 3, 96, 96)).aux["map_logits"].sum().backward()
    for name in ("map_branch.out.weight", "map_branch.laterals.0.weight", "trunk.stem.0.weight"):
        assert small.get_parameter(name).grad.abs().sum() > 0, name
    # ... but not the classifier, nor the layers above the last tap.
    assert small.classifier.weight.grad is None
    assert small.trunk.head[0].weight.grad is None


def test_targets_are_resized_clamped_and_zero_for_real_faces():
    source = torch.zeros(2, 1, 14, 14)
    source[:, :, 4:8, 4:8] = 1.5
    target = map_target(source, torch.tensor([1, 0]), 56)
    assert target.shape == (2, 1, 56, 56)
    assert target[0].max() == 1.0
    assert target[0, 0, 22, 22] == 1.0
    assert target[0, 0, 0, 0] == 0.0
    assert target[1].abs().max() == 0.0
    assert torch.equal(map_target(source.clamp(max=1), torch.ones(2), 14), source.clamp(max=1))


def test_no_pixel_of_a_large_mask_is_skipped_when_it_shrinks():
    seam = torch.zeros(1, 1, 224, 224)
    seam[..., 3] = 1.0
    target = map_target(seam, torch.ones(1), 56)
    assert torch.equal(target[0, 0, :, 0], torch.full((56,), 0.25))
    assert target[..., 1:].abs().max() == 0.0
