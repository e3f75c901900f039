"""A dry run says what is needed, where to get it, how long it takes and what should come out."""

from pathlib import Path

import pytest

import trainers
from detect_plugins.catalogue import load_catalogue
from trainers.config import load_config
from trainers.evaluation import paper_tables
from trainers.plan import gmacs, main, training_plan

CONFIGS = Path(trainers.__file__).parent / "configs"


def plan(name: str, *overrides: str) -> str:
    config = load_config(CONFIGS / f"{name}.toml", overrides)
    return training_plan(config, load_catalogue().get(config.plugin).require_manifest())


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.toml")))
def test_every_config_has_a_plan(name, monkeypatch):
    monkeypatch.delenv("UNMASK_DATA", raising=False)
    text = plan(name)
    for heading in ("Data", "Steps", "Expected time", "Expected figures"):
        assert f"\n{heading}\n" in text
    if paper_tables.expected_of(name):
        assert "to get it:" in text and "counts as reproduced" in text


def test_the_plan_of_a_paper_table_names_data_steps_time_and_figure(monkeypatch, tmp_path):
    monkeypatch.setenv("UNMASK_DATA", str(tmp_path))
    text = plan("lrl-ffpp-c23")
    assert "FaceForensics++ c23, split train, 16 frames per video" in text
    assert "github.com/ondyari/FaceForensics" in text
    assert "144,000 steps of 32 images = 4,608,000 images = 50 epochs of 2,880 steps" in text
    assert "test: Celeb-DF v2, split test, 32 frames" in text
    assert "one data-centre GPU, fp32" in text and "of it validation" in text
    assert "table 3 (LRL), test celebdf/Celeb-synthesis: AUC 78.26" in text
    assert f"missing: {tmp_path}/FaceForensics++" in text


def test_the_plan_says_who_draws_the_maps_on_which_crops_and_whether_they_are_there(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("UNMASK_DATA", str(tmp_path))
    text = plan("efficientnet-fpn-ffpp-c40-maps-gradcam")
    shards = "$UNMASK_DATA/shards/ffpp-c40-train-10-difference-pairs"
    assert f"maps by gradcam of focus-ffpp-c40-vit, on {shards}" in text
    folder = tmp_path / "maps/focus-ffpp-c40-vit-gradcam"
    assert f"missing: {folder}" in text
    folder.mkdir(parents=True)
    (folder / "maps.npy").touch()
    assert f"ready: {folder}" in plan("efficientnet-fpn-ffpp-c40-maps-gradcam")


def test_a_tree_that_is_there_is_said_to_be(monkeypatch, tmp_path):
    (tmp_path / "FaceForensics++/original_sequences").mkdir(parents=True)
    monkeypatch.setenv("UNMASK_DATA", str(tmp_path))
    assert "original_sequences/" in plan("sola-ffpp-df")
    assert "trainers.prepare --config" in plan("sola-ffpp-df")


def test_cost_follows_size_and_preset():
    config = load_config(CONFIGS / "sola-ffpp-df.toml")
    manifest = load_catalogue().get("sola").require_manifest()
    assert gmacs(config, manifest) == pytest.approx(14.5, rel=0.01)
    small = load_config(
        CONFIGS / "sola-ffpp-df.toml",
        ["architecture.preset=fast", "architecture.width=0.5", "architecture.input_px=128"],
    )
    assert gmacs(small, manifest) == pytest.approx(3.9 / 16, rel=0.01)


def test_the_command_prints_a_plan_a_config(capsys):
    main([str(CONFIGS / f"{name}.toml") for name in ("sola-ffpp-df", "focus-ffpp-c23")])
    text = capsys.readouterr().out
    assert "sola-ffpp-df: SOLA tables 1, 2" in text and "focus-ffpp-c23: FoCus" in text
