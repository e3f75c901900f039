"""The combination's file: fitted on what both plugins said, with the points a policy can ask for."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from research import fit_combination
from research.judging.judge import JUDGED, JudgedClip
from tests.fakes import make_card
from unmask.bundle import CARD_FILE
from workers.verdicts.arithmetic.conditions import condition_of
from workers.verdicts.combine import Combination


def judged(plugin: str, seed: int) -> list[JudgedClip]:
    """Sixty people, every second forged; large faces score lower, whatever they are."""
    rng = np.random.default_rng(seed)
    return [
        JudgedClip(
            plugin=plugin, clip=f"{n}.mp4", family="swap" if n % 2 else "real", method="m",
            label=n % 2, people=(f"p{n}",), quality=quality, mean=0.5, ood=None, faces=(),
            raw=float(np.clip(0.3 + 0.3 * (n % 2) - 0.2 * (n % 4 > 1) + rng.normal(0, 0.05), 0.01, 0.99)),
            face_px=250.0 if n % 4 > 1 else 120.0,
        )
        for n in range(60)
        for quality in ("found", "crf23", "crf32")
    ]  # fmt: skip


def test_the_file_holds_calibration_and_points_by_face_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "judged.json").write_bytes(JUDGED.dump_json((*judged("a", 1), *judged("b", 2))))
    arguments = [str(tmp_path / "judged.json"), "--out", str(tmp_path / "combinations.json")]
    for plugin in ("a", "b"):
        (tmp_path / plugin).mkdir()
        card = make_card(plugin=plugin, combination_weight=1.0)
        (tmp_path / plugin / CARD_FILE).write_text(card.model_dump_json())
        arguments += ["--bundle", f"{plugin}={tmp_path / plugin}"]
    monkeypatch.setattr(sys, "argv", ["fit_combination", *arguments])
    fit_combination.main()

    (entry,) = json.loads((tmp_path / "combinations.json").read_text())
    made = Combination.model_validate(entry)
    assert [slug.split("@")[0] for slug in made.members] == ["a", "b"]
    assert made.slope > 0
    assert "90 real and 90 forged videos" in made.fitted_on
    small, large = condition_of(120.0, made.thresholds), condition_of(250.0, made.thresholds)
    assert small is not None and large is not None
    # Small faces score higher here, real ones too: beside their like, both come to the same.
    assert small.moved(0.7) <= 0.7 < large.moved(0.7)
    assert "fpr_0.05" in capsys.readouterr().out
