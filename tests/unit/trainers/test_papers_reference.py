"""docs/reference/papers.md names files that exist and verdicts that are allowed, for every row."""

import re
from pathlib import Path

import pytest

from trainers.config import CONFIGS, load_config

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/reference/papers.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if re.match(r"\| \d+ \|", line)]
VERDICTS = ("exact", "said deviation", "cannot be had", "open")


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def test_every_row_of_the_audit_is_there() -> None:
    counts = [len(re.findall(r"(?m)^\| \d+ \|", part)) for part in TEXT.split("\n## ")[1:]]
    assert counts == [48, 48, 41, 30]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: cells(row)[1][:40])
def test_a_row_names_code_that_exists_and_a_verdict_with_its_reason(row: str) -> None:
    verdict = cells(row)[-1]
    kind = next(v for v in VERDICTS if verdict.startswith(v))
    places = re.findall(r"`((?:trainers|detect_plugins)/[^`]+)`", row)
    assert all((ROOT / place).is_file() for place in places)
    assert places or kind in ("cannot be had", "open")
    if kind in ("cannot be had", "open"):
        assert len(verdict) > len(kind) + 10, "say why"


def test_nothing_is_unstated_missing_or_wrong() -> None:
    assert not re.search(r"\b(unstated|missing|wrong)\b", "\n".join(cells(r)[-1] for r in ROWS))
    assert not any(cells(row)[-1].startswith("open") for row in ROWS)


@pytest.mark.parametrize("base", sorted(path.stem for path in (CONFIGS / "base").glob("*.toml")))
def test_deviations_of_a_recipe_stand_in_its_notes(base: str) -> None:
    config = load_config(CONFIGS / "base" / f"{base}.toml")
    assert config.notes.startswith(("Ours:", "\nOurs:")) and "half of a batch real" in " ".join(
        config.notes.split()
    )
