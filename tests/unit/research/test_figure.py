"""The picture of what weights are worth."""

import re
from pathlib import Path

from research.judging.figure import draw
from tests.unit.research.test_tables import clips


def _words(path: Path) -> str:
    """The picture's text: matplotlib writes it as comments beside the glyphs."""
    return " ".join(re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8")))


def test_a_row_a_family_that_is_there(tmp_path: Path) -> None:
    tools = clips(0.1)
    lip_sync = [c.model_copy(update={"family": "lipsync"}) for c in tools if c.label]
    blends = [c.model_copy(update={"family": "blend"} if c.label else {}) for c in tools]
    draw([tools + lip_sync, blends], tmp_path / "a.svg", rounds=5)
    words = _words(tmp_path / "a.svg")
    for row in (
        "lip sync (30)",
        "face swap (30)",
        "the four kinds of tools (60)",
        "blends of unseen people (30)",
    ):
        assert words.count(row) == 1
    assert "reenactment" not in words


def test_the_same_clips_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw([clips(0.2)], tmp_path / name, rounds=5)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
