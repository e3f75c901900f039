"""A bundle's card says what network it fills and who taught it; listings and captions go by it."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from console.show.listing import describe
from detect_plugins.catalogue import load_catalogue, load_class
from trainers.bundles.network_facts import network_facts, taught
from trainers.config import CONFIGS, load_config
from unmask.bundle import read_card
from unmask.settings import Settings

PLUGINS = Path(__file__).parents[3] / "detect_plugins"
SHIPPED = sorted(path.parent.parent.name for path in PLUGINS.glob("*/weights/bundle.json"))


@pytest.mark.parametrize("key", SHIPPED)
def test_a_shipped_card_says_what_its_weights_really_are(key: str, tmp_path: Path) -> None:
    folder = PLUGINS / key / "weights"
    card, entry = read_card(folder, key), load_catalogue().get(key)
    detector = load_class(entry)
    architecture = detector.Config.model_validate(card.architecture)  # type: ignore[attr-defined]
    assert card.network == network_facts(detector, architecture) and card.taught_by
    with torch.device("meta"):
        network = detector.Network(architecture)  # type: ignore[attr-defined]
    held = load_file(folder / "weights.safetensors")
    assert card.network.parameters == sum(held[n].numel() for n, _ in network.named_parameters())
    row = describe(entry, Settings(engine_cache_dir=tmp_path, weights_dir=None))
    assert (row["parameters"], row["gmacs"]) == (card.network.parameters, card.network.gmacs)
    assert row["taught_by"] == card.taught_by and row["network_of"] == "the loaded weights"
    assert row["map"]["width"] == card.network.map_px


def test_the_shipped_pyramid_is_not_said_to_be_taught_by_focus(tmp_path: Path) -> None:
    row = describe(load_catalogue().get("efficientnet_fpn"), Settings(engine_cache_dir=tmp_path))
    assert "FoCus" not in row["map"]["caption"] and "masks" in row["map"]["caption"]
    assert row["trunk"] == "efficientnet_lite0"


@pytest.mark.parametrize(
    ("config", "teacher"),
    [
        ("sola-ffpp-df", "labels alone (weak supervision)"),
        ("sola-ffpp-df-sup", "masks of forged faces"),
        ("lrl-ffpp-c23", "masks of forged faces"),
        ("focus-ffpp-c23", "labels alone"),
        ("efficientnet-fpn-ffpp-c23", "maps of manipulation cues drawn by focus-ffpp-c23"),
        ("efficientnet-fpn-ffpp-c23-ssim", "structural differences to the originals"),
        ("efficientnet-fpn-ffpp-c23-gffd", "maps drawn by another network"),
        ("small/efficientnet_fpn", "masks of blended forgeries, beside forged clips"),
    ],
)
def test_the_teacher_is_the_configs(config: str, teacher: str) -> None:
    said = taught(load_config(CONFIGS / f"{config}.toml"))
    assert said["taught_by"] == teacher
    if "map_caption" in said:
        assert teacher in said["map_caption"] and said["map_caption"].endswith(".")
