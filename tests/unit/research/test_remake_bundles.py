"""What the one command runs, in which order, and what it says of the result."""

import sys
from pathlib import Path
from typing import Any

import pytest

from detect_plugins.catalogue import load_catalogue
from research import remake_bundles
from unmask.bundle import CARD_FILE, read_card


def _shipped(plugin: str) -> Path:
    folder = load_catalogue().get(plugin).bundle_folder(None)
    assert folder is not None
    return folder


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that were run, in order; shipping leaves the bundle that ships already."""
    found: list[str] = []

    def run(module: str, *arguments: str, **_: Any) -> None:
        found.append(module.rpartition(".")[2])
        if module.endswith(".ship"):
            out = Path(arguments[-1])
            out.mkdir(parents=True)
            (out / CARD_FILE).write_bytes((_shipped(out.name) / CARD_FILE).read_bytes())
        elif "--out" in arguments:
            Path(arguments[-1]).parent.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(remake_bundles, "_run", run)
    monkeypatch.setattr(sys, "argv", ["reproduce", "--work", str(tmp_path), "--jobs", "1"])
    return found


def test_a_finished_step_is_not_run_again(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [*sys.argv, "sola"])
    remake_bundles.main()
    assert steps == ["build_pool", "validation_set", "train", "ship"]
    remake_bundles.main()
    assert len(steps) == 4


def test_all_three_are_judged_together_once_they_are_there(steps: list[str]) -> None:
    remake_bundles.main()
    assert steps[:2] == ["build_pool", "validation_set"]
    assert steps[2:8] == ["train", "ship"] * 3
    assert steps[8:12] == ["blend_clips", "judge", "judge", "fit_combination"]
    assert steps[-1] == "figure"


def test_it_says_whether_the_weights_are_the_shipped_ones(tmp_path: Path) -> None:
    card = read_card(_shipped("sola"), "sola")
    (tmp_path / CARD_FILE).write_text(card.model_dump_json(), encoding="utf-8")
    assert "the shipped weights, byte for byte" in remake_bundles.beside_shipped("sola", tmp_path)
    other = card.model_copy(update={"sha256": "0" * 64})
    (tmp_path / CARD_FILE).write_text(other.model_dump_json(), encoding="utf-8")
    assert "other weights (000000000000)" in remake_bundles.beside_shipped("sola", tmp_path)
