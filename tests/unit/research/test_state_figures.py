"""Measured figures reach the bundle's two texts, and nothing else of it changes."""

import json
from pathlib import Path

import pytest

from research.judging import state_figures
from research.judging.judge import JUDGED, JudgedClip
from tests.fakes import make_card
from unmask.bundle import CARD_FILE


def judged(family: str, raws: dict[int, list[float]]) -> list[JudgedClip]:
    return [
        JudgedClip(
            plugin="a", clip=f"{family}{label}{n}.mp4", family=family if label else "real",
            method="m", label=label, people=(f"p{n}",), quality=quality, raw=raw, mean=raw,
            face_px=100.0, ood=None, faces=(),
        )
        for label, found in raws.items()
        for n, raw in enumerate(found)
        for quality in ("found", "crf23", "crf32")
    ]  # fmt: skip


def test_the_figures_are_counted_and_both_texts_say_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Three of four pairs are in order: an AUC of 0.75.
    val = judged("swap", {0: [0.1, 0.5] * 10, 1: [0.3, 0.7] * 10})
    blends = judged("blend", {0: [0.1] * 4, 1: [0.9] * 4})
    (tmp_path / "val.json").write_bytes(JUDGED.dump_json(tuple(val)))
    (tmp_path / "blends.json").write_bytes(JUDGED.dump_json(tuple(blends)))
    card = make_card(plugin="a", metrics={"of before": 1.0})
    (tmp_path / CARD_FILE).write_text(card.model_dump_json())

    state_figures.main(
        ["--val", str(tmp_path / "val.json"), "--blends", str(tmp_path / "blends.json"),
         "--bundle", f"a={tmp_path}"]
    )  # fmt: skip

    tree = json.loads((tmp_path / CARD_FILE).read_text())
    assert tree["metrics"]["video AUC, unseen people, crf 32"] == 0.75
    assert tree["metrics"]["video AUC, unseen blends, as found"] == 1.0
    assert tree["metrics"]["video AUC, face swaps (as found)"] == 0.75
    assert not [name for name in tree["metrics"] if "lip sync" in name or name == "of before"]
    changed = {"metrics", "seal"}
    assert {k: v for k, v in tree.items() if k not in changed} == {
        k: v for k, v in card.model_dump(mode="json").items() if k not in changed
    }
    text = (tmp_path / "MODEL_CARD.md").read_text()
    assert "| video AUC, unseen blends, as found | 1 |" in text
    assert "Nothing was measured by skin tone" in text
    assert "unseen people, crf 32: 0.75" in capsys.readouterr().out
