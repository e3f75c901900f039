"""SOLA's stages have the paper's shapes and sizes, and every switch of the config does its part."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from detect_plugins.sola.config import SolaConfig
from detect_plugins.sola.fusion import Dcam, Lem
from detect_plugins.sola.network import Sola
from detect_plugins.sola.targets import pairwise_correlation


def small(**changes: Any) -> Sola:
    """The fast preset at 96 pixels with quarter width: cells of 16 pixels, a 6x6 grid."""
    defaults = {"preset": "fast", "input_px": 96, "width": 0.25}
    torch.manual_seed(0)
    return Sola(SolaConfig(**{**defaults, **changes})).eval()


def on_meta(**changes: Any) -> Sola:
    with torch.device("meta"):
        return Sola(SolaConfig(**changes)).eval()


def shapes(network: Sola) -> dict[str, tuple[int, ...]]:
    """Output shape of every named part, of one image."""
    seen: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                seen[name] = tuple(output.shape)

        return hook

    for name, module in network.named_modules():
        module.register_forward_hook(note(name))
    side = network.config.input_px
    network(torch.zeros(1, 3, side, side, device="meta"))
    return seen


def test_every_stage_has_the_shape_of_the_reference_table() -> None:
    seen = shapes(on_meta())
    assert seen["asrm"] == (1, 3, 256, 256)
    for index, side in enumerate((128, 64, 32)):
        wanted = (1, 64 * 2**index, side, side)
        for part in (f"rgb.stages.{index}", f"noise.stages.{index}", f"dcam.{index}"):
            assert seen[part] == wanted
        assert seen[f"lem.{index}"] == wanted
    assert seen["rgb.stem"] == (1, 64, 128, 128)
    assert seen["pool"] == (1, 256, 16, 16)
    for index in range(4):
        assert seen[f"anomaly.delta.{index}"] == (1, 64, 16, 16)
        assert seen[f"anomaly.phi.{index}"] == (1, 1, 16, 16)
    assert seen["conv"] == (1, 64, 16, 16)
    assert seen["fc"] == (1, 1)


def test_the_patches_of_lem_shrink_from_64_to_16_to_4_pixels() -> None:
    lem = on_meta().lem
    assert [(one.grid, one.patch) for one in lem if isinstance(one, Lem)] == [
        (16, 8),
        (16, 4),
        (16, 2),
    ]


def test_the_fast_preset_skips_the_lem_whose_patches_hold_one_pixel() -> None:
    kinds = [type(one) for one in on_meta(preset="fast").lem]
    assert kinds == [Lem, Lem, nn.Identity]


@pytest.mark.parametrize(
    ("changes", "millions", "gmacs"),
    [
        ({}, 6.04, 14.5),
        ({"preset": "fast"}, 6.04, 3.9),
        ({"backbone": "resnet34"}, 16.8, 31.4),
        ({"backbone": "resnet50"}, 23.0, 44.3),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_sizes_are_within_two_per_cent_of_the_reference(
    changes: dict[str, Any], millions: float, gmacs: float
) -> None:
    network = on_meta(**changes)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.02)
    with FlopCounterMode(display=False) as flops:
        network(torch.zeros(1, 3, 256, 256, device="meta"))
    assert flops.get_total_flops() / 2e9 == pytest.approx(gmacs, rel=0.02)


def test_resnet101_grows_its_fusion_to_the_size_of_the_reference() -> None:
    network = on_meta(backbone="resnet101")
    assert network.rgb.channels == (256, 512, 1024)
    assert sum(p.numel() for p in network.lem.parameters()) / 1e6 == pytest.approx(1.7, rel=0.02)
    assert sum(p.numel() for p in network.dcam.parameters()) / 1e6 == pytest.approx(3.6, rel=0.02)


@pytest.mark.parametrize("grid", [8, 16, 32])
def test_the_three_patch_sizes_of_table_7_give_maps_of_that_size(grid: int) -> None:
    network = on_meta(grid=grid)
    output = network(torch.zeros(1, 3, 256, 256, device="meta"))
    assert output.heatmap.shape == (1, 1, grid, grid)
    assert output.aux["first"].shape == (1, 4, 64, grid, grid)
    assert output.aux["second"].shape == (1, 4, grid, grid)


def test_cropping_leaves_the_common_12_by_12_area() -> None:
    padded, cropped = small(input_px=256), small(input_px=256, align="crop")
    cropped.load_state_dict(padded.state_dict())
    image = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        whole, part = padded(image).aux["second"], cropped(image).aux["second"]
    assert part.shape == (1, 4, 12, 12)
    torch.testing.assert_close(part, whole[..., 4:, 4:])


def test_a_smaller_input_keeps_regions_of_16_pixels() -> None:
    config = SolaConfig(preset="fast", width=0.5, input_px=192)
    assert config.map_px == config.lem_grid == 12


def test_a_grid_that_does_not_divide_the_features_is_refused() -> None:
    with pytest.raises(ValidationError, match="does not divide the 16x16 features"):
        SolaConfig(preset="fast", grid=32)


def test_pretrained_half_width_is_refused_before_anything_is_fetched() -> None:
    with pytest.raises(ValueError, match="half width"):
        Sola(SolaConfig(width=0.5), pretrained=True)


def test_the_small_trunk_ends_where_the_fast_one_does() -> None:
    network = on_meta(backbone="efficientnet_lite0", preset="fast", input_px=192)
    seen = shapes(network)
    for index, (channels, side) in enumerate(zip((24, 40, 112), (48, 24, 12), strict=True)):
        for part in (f"rgb.stages.{index}", f"noise.stages.{index}", f"dcam.{index}"):
            assert seen[part] == (1, channels, side, side)
    assert [type(one) for one in network.lem] == [Lem, Lem, nn.Identity]
    assert seen["pool"] == (1, 112, 12, 12)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(1.5, rel=0.02)
    with FlopCounterMode(display=False) as flops:
        network(torch.zeros(1, 3, 192, 192, device="meta"))
    assert flops.get_total_flops() / 2e9 == pytest.approx(0.39, rel=0.02)


@pytest.mark.parametrize("changes", [{"preset": "faithful"}, {"preset": "fast", "width": 0.5}])
def test_the_small_trunk_takes_no_other_shape(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="preset fast and width"):
        SolaConfig(backbone="efficientnet_lite0", **changes)


def test_fusion_of_a_signed_trunk_starts_as_the_colours_alone() -> None:
    torch.manual_seed(0)
    dcam = Dcam(24, signed=True).eval()
    rgb = torch.randn(2, 24, 8, 8)
    with torch.no_grad():
        quiet, loud = (
            dcam.fuse(torch.cat((rgb, torch.zeros_like(rgb)), 1)),
            dcam.fuse(torch.cat((rgb, 9.0 * torch.randn_like(rgb)), 1)),
        )
    torch.testing.assert_close(quiet, loud)
    torch.testing.assert_close(quiet, rgb, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"clamp": True},
        {"feed_fused": "both"},
        {"lem_scale": True},
        {"normalize": "imagenet"},
        {"heatmap": "seam1"},
        {"heatmap": "seam2"},
    ],
    ids=str,
)
def test_a_switch_changes_what_the_same_weights_say(changes: dict[str, Any]) -> None:
    image = torch.rand(4, 3, 96, 96)
    networks = small(), small(**changes)
    for module in networks[0].lem:
        if isinstance(module, Lem):
            module.gain.data.fill_(1.0)
            module.theta.weight.data.mul_(20.0)
    networks[1].load_state_dict(networks[0].state_dict())
    outputs = []
    for network in networks:
        # Statistics of the batch: random weights with none of their own say the same of everything.
        network.train()
        with torch.no_grad():
            output = network(image)
        assert output.heatmap.shape == (4, 1, 6, 6)
        assert (output.heatmap >= 0).all()
        outputs.append((output.logit, output.heatmap))
    (logit, heatmap), (other_logit, other_heatmap) = outputs
    if "heatmap" in changes:
        assert torch.equal(logit, other_logit)
        assert (other_heatmap <= 1).all()
        assert not torch.equal(heatmap, other_heatmap)
    else:
        assert (logit - other_logit).abs().max() > 1e-7


@pytest.mark.parametrize(
    ("changes", "gone", "new"),
    [
        ({"use_noise_stream": False}, {"asrm", "noise", "dcam"}, set()),
        ({"use_lem": False}, {"lem"}, set()),
        ({"use_dcam": False}, {"dcam.0.before", "dcam.0.after"}, set()),
        ({"delta_abs": True}, set(), {"anomaly.delta.0.difference"}),
    ],
    ids=str,
)
def test_a_part_can_be_taken_out_for_ablation(
    changes: dict[str, Any], gone: set[str], new: set[str]
) -> None:
    def holds(names: list[str], part: str) -> bool:
        return any(name.startswith(part + ".") for name in names)

    full, ablated = list(small().state_dict()), list(small(**changes).state_dict())
    for part in gone:
        assert holds(full, part)
        assert not holds(ablated, part)
    for part in new:
        assert not holds(full, part)
        assert holds(ablated, part)
    p, maps = small(**changes).export_forward(torch.rand(2, 3, 96, 96))
    assert torch.isfinite(p).all()
    assert maps.shape == (2, 6, 6)


def test_depthwise_noise_has_each_filter_on_each_colour() -> None:
    asrm = small(depthwise=True).asrm
    assert asrm is not None
    image = torch.rand(1, 3, 16, 16)
    noise = asrm(image).detach()
    assert noise.shape == (1, 9, 16, 16)
    summed = small().asrm
    assert summed is not None
    torch.testing.assert_close(noise.view(1, 3, 3, 16, 16).sum(dim=1), summed(image).detach())


def test_asrm_lsrm_and_srm_differ_in_what_may_change() -> None:
    asrm = small().asrm
    fixed = small(use_asrm=False).asrm
    free = small(use_asrm=False, srm_learnable=True).asrm
    assert asrm is not None
    assert fixed is not None
    assert free is not None
    assert asrm.weight.requires_grad
    assert not fixed.weight.requires_grad
    assert free.weight.requires_grad
    for part in (asrm, free):
        part.weight.data.mul_(2.0)
        part.project_()
    assert asrm.constraint_error() < 1e-5
    assert float(free.weight[0, 0, 2, 2].detach()) == pytest.approx(-2.0)


def test_the_noise_stream_sees_no_flat_colour_and_no_bright_frame() -> None:
    asrm = small().asrm
    assert asrm is not None
    flat = torch.rand(1, 3, 1, 1).expand(1, 3, 32, 32)
    assert asrm(flat).abs().max() < 1e-6


def test_noise_is_computed_in_float32_under_autocast() -> None:
    asrm = small().asrm
    assert asrm is not None
    image = (torch.rand(1, 3, 32, 32) * 255).round() / 255
    plain = asrm(image)
    with torch.autocast("cpu", torch.bfloat16):
        cast = asrm(image)
    assert torch.equal(plain, cast)


def test_clamped_noise_stays_within_three_grey_levels() -> None:
    asrm = small(clamp=True).asrm
    assert asrm is not None
    assert asrm(torch.rand(1, 3, 32, 32)).abs().max() <= 3 / 255


def test_a_new_lem_is_the_identity() -> None:
    lem = Lem(16, grid=4, patch=4)
    x = torch.rand(2, 16, 16, 16)
    assert torch.equal(lem(x), x)


def test_what_happens_in_one_patch_of_lem_stays_there() -> None:
    torch.manual_seed(0)
    lem = Lem(16, grid=4, patch=4)
    lem.gain.data.fill_(1.0)
    x = torch.rand(1, 16, 16, 16)
    shuffled = x.clone()
    shuffled[..., 4:8, 8:12] = shuffled[..., 4:8, 8:12].flip(-1)
    changed = (lem(x) != lem(shuffled)).any(dim=1)[0]
    assert changed[4:8, 8:12].any()
    changed[4:8, 8:12] = False
    assert not changed.any()


def test_the_mean_of_the_activation_map_is_exactly_the_logit() -> None:
    network = small()
    with torch.no_grad():
        second = torch.randn(3, 4, 6, 6)
        logit, cam = network._classify(second)
        torch.testing.assert_close(cam.mean(dim=(2, 3)), logit)


def test_features_for_abstention_are_those_of_the_scoring_pass() -> None:
    network = small()
    image = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        p, maps, features = network.export_forward_with_features(image)
        torch.testing.assert_close(network.features(image), features)
        torch.testing.assert_close(network(image).aux["features"], features)
        torch.testing.assert_close(network.export_forward(image), (p, maps))
    assert features.shape == (2, network.rgb.channels[-1])


def test_collapsed_predictors_show_in_the_correlation_monitor() -> None:
    torch.manual_seed(0)
    independent = torch.rand(4, 4, 16, 16)
    collapsed = independent[:, :1] * torch.tensor([1.0, 2.0, 3.0, 0.0]).view(1, 4, 1, 1)
    eye = pairwise_correlation(independent)
    assert (eye - torch.eye(4)).abs().max() < 0.15
    one = pairwise_correlation(collapsed)
    torch.testing.assert_close(one[:3, :3], torch.ones(3, 3), atol=1e-4, rtol=0)
    assert not one[3].any()
