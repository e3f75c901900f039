"""The papers' figures, drawn of a small random network: what they show is what was asked for."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detect_plugins.efficientnet_fpn.detector import EfficientNetFpnDetector
from detect_plugins.lrl.detector import LrlDetector
from trainers import draw
from trainers.bundles.load_bundle import load_from_folder
from trainers.bundles.write_bundle import draft_card, write_bundle
from trainers.evaluation import network_views
from unmask.arrays import Images
from unmask.errors import ConfigError

SMALL = {"input_px": 96, "patches": 3}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lrl") / "bundle"
    torch.manual_seed(0)
    network = LrlDetector.Network(LrlDetector.Config.model_validate(SMALL))
    manifest = load_from_folder("lrl", None).manifest
    card = draft_card(
        plugin="lrl", plugin_version=manifest.version, name="random", architecture=SMALL
    )
    write_bundle(folder, network.state_dict(), card)
    return folder


@pytest.mark.parametrize("figure", ["maps", "similarity", "streams", "disturbed", "features"])
def test_each_figure_is_drawn(figure: str, bundle: Path, tiny_pool: Path, tmp_path: Path) -> None:
    out = tmp_path / "figure.png"
    draw.main(
        [str(bundle), "--plugin", "lrl", "--data", str(tiny_pool), "--split", "train",
         "--figure", figure, "--pictures", "8" if figure == "features" else "4", "--out", str(out)]
    )  # fmt: skip
    drawn = cv2.imread(str(out))
    assert drawn is not None and drawn.std() > 5


def test_the_residual_spread_is_printed_as_a_setting(
    bundle: Path, tiny_pool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw.main([str(bundle), "--plugin", "lrl", "--data", str(tiny_pool), "--split", "train",
               "--figure", "residual", "--pictures", "4"])  # fmt: skip
    name, value = capsys.readouterr().out.split("#")[0].split(" = ")
    assert name == "residual_std" and 0.0 < float(value) < 1.0


def test_the_spread_of_the_high_pass_is_that_of_its_noise() -> None:
    flat = np.full((4, 96, 96, 3), 120, np.uint8)
    assert network_views.residual_spread(flat, 0.33) == pytest.approx(0.0, abs=1e-5)
    random = np.random.default_rng(0)
    noisy = [
        np.clip(flat + random.normal(0, sigma, flat.shape), 0, 255).astype(np.uint8)
        for sigma in (4, 8)
    ]
    small, large = (network_views.residual_spread(views, 0.33) for views in noisy)
    assert large / small == pytest.approx(2.0, rel=0.1)


def test_disturbed_pictures_keep_the_first_as_it_is() -> None:
    views: Images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    found = network_views.disturbed(views)
    assert list(found) == ["as it is", "blur", "noise", "compression", "random patch"]
    assert np.array_equal(found["as it is"], views)
    assert all(not np.array_equal(found[name], views) for name in list(found)[1:])
    changed = (found["random patch"] != views).any(axis=3).mean(axis=(1, 2))
    assert np.all((changed > 0.03) & (changed < 0.05)), "a fifth of each side"


def test_a_network_without_the_part_says_which_has_it() -> None:
    small = {"backbone": "tf_efficientnet_lite0", "input_px": 64}
    detector = EfficientNetFpnDetector
    network = detector.Network(detector.Config.model_validate(small)).eval()
    views = np.zeros((1, 64, 64, 3), np.uint8)
    with pytest.raises(ConfigError, match="LRL"):
        network_views.mean_similarity(network, views)
    with pytest.raises(ConfigError, match="LRL"):
        network_views.stream_activations(network, views)
