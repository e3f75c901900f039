"""FoCus's network: shapes, positions, every second modality and ablation, a still evaluation."""

import pytest
import torch
import torch.nn.functional as F

from detect_plugins.focus.config import FocusConfig
from detect_plugins.focus.modalities import SecondView
from detect_plugins.focus.network import Focus
from detect_plugins.layers.highpass import SobelEdges, SrmNoise
from detect_plugins.layers.srm import srm_kernels

TINY = FocusConfig(trunk="deit_tiny_patch16_224", input_px=64)


@pytest.fixture(scope="module")
def tiny() -> Focus:
    torch.manual_seed(0)
    return Focus(TINY).eval()


def test_shapes_are_those_of_the_reference():
    with torch.device("meta"):
        network = Focus(FocusConfig())
    image = torch.empty(2, 3, 224, 224, device="meta")
    tokens, class_maps, logits = network.rgb(image)
    assert tokens.shape == (2, 196, 384)
    assert class_maps.shape == (2, 2, 32, 14, 14)
    assert logits.shape == (2, 2)
    output = network(image)
    assert output.logit.shape == (2, 1)
    assert output.heatmap.shape == (2, 1, 14, 14)
    shapes = {name: tuple(value.shape[1:]) for name, value in output.aux.items()}
    assert shapes == {
        "logits": (2,),
        "logits_rgb": (2,),
        "logits_second": (2,),
        "fusion_map": (1, 14, 14),
        "selection": (1, 14, 14),
        "chance": (),
        "features": (384,),
    }


@pytest.mark.parametrize("second", ["sobel", "rgb", "dct", "srm", "none"])
@pytest.mark.parametrize("switches", [{}, {"use_carp": False}, {"use_cl": False}])
def test_every_modality_and_part_can_be_chosen(second, switches):
    config = TINY.model_copy(update={"second": second, **switches})
    with torch.device("meta"):
        network = Focus(config)
    output = network(torch.empty(2, 3, 64, 64, device="meta"))
    assert output.heatmap.shape == (2, 1, 4, 4)
    assert ("logits_second" in output.aux) == (second != "none")
    assert ("selection" in output.aux) == (second != "none" and "use_cl" not in switches)


def test_evaluation_is_deterministic_and_training_is_not(tiny):
    image = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        first, second = tiny.export_forward(image), tiny.export_forward(image)
        assert torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1])
        selection = tiny(image).aux["selection"]
        assert set(selection.unique().tolist()) <= {0.0, 1.0}
        tiny.train()
        try:
            kept = [tiny(image).aux["selection"] for _ in range(3)]
        finally:
            tiny.eval()
    assert not (torch.equal(kept[0], kept[1]) and torch.equal(kept[1], kept[2]))


def test_the_exported_graph_draws_no_random_numbers(tiny):
    program = torch.export.export(_Serving(tiny), (torch.rand(2, 3, 64, 64),), strict=False)
    called = {str(n.target) for n in program.graph.nodes if n.op == "call_function"}
    assert any("gt" in name for name in called)
    assert not any(word in name for name in called for word in ("rand", "exponential", "bernoulli"))


class _Serving(torch.nn.Module):
    def __init__(self, network: Focus) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.network.export_forward(image)


def test_both_trunks_share_one_fixed_positional_encoding(tiny):
    rgb, second = tiny.rgb.tokens.vit.pos_embed, tiny.second.tokens.vit.pos_embed
    assert torch.equal(rgb, second)
    assert not rgb.requires_grad
    assert not second.requires_grad
    free = Focus(TINY.model_copy(update={"freeze_pos_embed": False}))
    assert free.rgb.tokens.vit.pos_embed.requires_grad


def test_sin_cos_positions_tell_every_patch_apart():
    torch.manual_seed(0)
    one, two = (Focus(TINY.model_copy(update={"pos_embed": "sincos"})) for _ in range(2))
    embed = one.rgb.tokens.vit.pos_embed[0]
    assert torch.equal(embed, two.rgb.tokens.vit.pos_embed[0])
    assert embed[0].abs().max() == 0.0
    assert len({tuple(row.tolist()) for row in embed[1:]}) == 16


def test_without_carp_maps_are_the_attention_that_the_last_block_pays():
    torch.manual_seed(0)
    network = Focus(TINY.model_copy(update={"use_carp": False, "second": "none"})).eval()
    trunk = network.rgb.tokens
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        tokens, attention = trunk.with_attention(x)
        assert torch.allclose(tokens, trunk(x), atol=1e-5)
    assert attention.shape == (1, 16)
    # The class token's attention to itself is the missing share.
    assert 0.5 < attention.sum() < 1.0


def test_every_loss_reaches_the_trunk_that_it_teaches(tiny):
    for pick, name in (("logits_rgb", "rgb"), ("logits_second", "second"), ("logits", "rgb")):
        tiny.zero_grad()
        tiny(torch.rand(1, 3, 64, 64)).aux[pick].square().sum().backward()
        weight = f"{name}.tokens.vit.patch_embed.proj.weight"
        assert tiny.get_parameter(weight).grad.abs().sum() > 0, pick


def test_the_served_map_is_the_positive_part_of_equation_9(tiny):
    with torch.inference_mode():
        image = torch.rand(2, 3, 64, 64)
        output = tiny(image)
        expected = []
        for branch, view in ((tiny.rgb, tiny.normalise), (tiny.second, tiny.second_view)):
            _, class_maps, logits = branch(view(image))
            expected.append(logits.softmax(1)[:, 1, None, None] * class_maps[:, 1].mean(dim=1))
    kept = output.aux["selection"][:, 0]
    fused = (1.0 - kept) * expected[0] + kept * expected[1]
    assert torch.allclose(output.heatmap[:, 0], fused.clamp(min=0.0), atol=1e-5)


def test_sobel_edges_equal_two_convolutions_and_stay_below_one():
    image = torch.rand(1, 3, 16, 16)
    kernel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate").transpose(0, 1)
    gx = F.conv2d(padded, kernel[None, None])
    gy = F.conv2d(padded, kernel.T[None, None])
    expected = ((gx**2 + gy**2).sqrt() / 32**0.5).transpose(0, 1)
    edges = SobelEdges()(image)
    assert torch.allclose(edges, expected, atol=1e-5)
    assert edges.max() <= 1.0
    assert SobelEdges()(torch.full((1, 3, 8, 8), 0.4)).max() < 1e-5


def test_srm_noise_equals_its_kernels_and_vanishes_on_a_flat_face():
    image = torch.rand(1, 3, 12, 12)
    weight = srm_kernels()[:, None].repeat(1, 3, 1, 1)
    expected = F.conv2d(F.pad(image, (2, 2, 2, 2), mode="reflect"), weight)
    assert torch.allclose(SrmNoise()(image), expected, atol=1e-5)
    assert SrmNoise()(torch.full((1, 3, 8, 8), 128 / 255)).abs().max() < 1e-5


@pytest.mark.parametrize("second", ["sobel", "dct", "srm"])
def test_autocast_does_not_change_the_second_view(second):
    view = SecondView(TINY.model_copy(update={"second": second}))
    image = torch.rand(1, 3, 64, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = view(image)
    assert torch.equal(under, view(image))
    assert under.shape == (1, 3, 64, 64)
