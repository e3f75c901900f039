"""Plugins are the size that their manifests and the table of the models' reference say."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from detect_plugins.catalogue import load_catalogue, load_class
from detect_plugins.efficientnet_fpn.config import EfficientNetFpnConfig
from detect_plugins.efficientnet_fpn.network import EfficientNetFpn
from detect_plugins.focus.config import FocusConfig
from detect_plugins.focus.network import Focus
from detect_plugins.llsm.config import LlsmConfig
from detect_plugins.llsm.network import Llsm
from detect_plugins.lrl.config import LrlConfig
from detect_plugins.lrl.network import Lrl

TWO_PER_CENT = 0.02


def _counted(network: nn.Module, px: int) -> tuple[int, float, tuple[int, ...]]:
    """Parameters, GMac of one image through the serving graph, and the shape of its maps."""
    network.eval()
    with FlopCounterMode(display=False) as counter:
        _, maps = network.export_forward(torch.empty(1, 3, px, px, device="meta"))
    parameters = sum(p.numel() for p in network.parameters())
    return parameters, counter.get_total_flops() / 2e9, tuple(maps.shape)


@pytest.mark.parametrize(
    ("build", "px", "million", "gmacs", "side"),
    [
        pytest.param(lambda: Lrl(LrlConfig()), 299, 62.7, 21.3, 160, id="lrl-2C"),
        pytest.param(lambda: Lrl(LrlConfig(rfam_hidden="C")), 299, 53.0, 19.9, 160, id="lrl-C"),
        pytest.param(lambda: Llsm(LlsmConfig()), 224, 26.0, 6.5, 109, id="llsm"),
        pytest.param(lambda: Focus(FocusConfig()), 224, 45.7, 9.6, 14, id="focus"),
        pytest.param(
            lambda: EfficientNetFpn(EfficientNetFpnConfig()), 224, 19.4, 3.0, 56, id="fpn"
        ),
    ],
)
def test_parameters_and_multiply_accumulates_are_within_two_per_cent_of_the_reference(
    build, px, million, gmacs, side
):
    with torch.device("meta"):
        network = build()
    parameters, measured, shape = _counted(network, px)
    assert parameters / 1e6 == pytest.approx(million, rel=TWO_PER_CENT)
    assert measured == pytest.approx(gmacs, rel=TWO_PER_CENT)
    assert shape == (1, side, side)


@pytest.mark.parametrize("key", ["lrl", "llsm", "focus", "efficientnet_fpn", "generated_faces"])
def test_the_manifest_declares_what_its_default_network_is(key):
    entry = load_catalogue().get(key)
    manifest = entry.require_manifest()
    detector = load_class(entry)
    config = detector.Config()
    with torch.device("meta"):
        network = detector.Network(config)
    parameters, gmacs, shape = _counted(network, manifest.input_px)
    assert config.input_px == manifest.input_px
    assert parameters == manifest.parameters
    assert gmacs == pytest.approx(manifest.gmacs, abs=0.006)
    assert shape == (1, manifest.map.height, manifest.map.width)
    for front in manifest.fp32_fronts:
        root, _, name = front.partition(".")
        assert root == "network"
        assert network.get_submodule(name) is not None
