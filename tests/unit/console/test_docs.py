"""The documentation speaks of this version: every command in it parses, every setting is in it."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from console.cli import app
from unmask.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([ROOT / "README.md", ROOT / "deploy" / "README.md", *(ROOT / "docs").rglob("*.md")])
KNOWN = {f"UNMASK_{name.upper()}" for name in Settings.model_fields}
#: Read by one command each, not by Settings.
OTHERS = {"UNMASK_SERVER", "UNMASK_DATA", "UNMASK_TIMM_WEIGHTS", "UNMASK_KEY"}


def _commands(page: Path) -> list[str]:
    """Lines of the page that a reader would type, from `unmask` to the end of the command."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.splitlines():
            typed = line.removeprefix("$ ").partition("  #")[0].partition(" | ")[0].strip()
            if line.startswith("$ unmask "):
                found.append(typed)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_the_documentation_parses(page: Path) -> None:
    for line in _commands(page):
        command: Any = typer.main.get_command(app)
        _, *arguments = shlex.split(line)
        while arguments and hasattr(command, "commands"):
            assert arguments[0] in command.commands, line
            command, arguments = command.commands[arguments[0]], arguments[1:]
        command.make_context("unmask", arguments)


def test_the_documentation_has_commands_to_check() -> None:
    assert len(_commands(ROOT / "README.md")) >= 6
    assert len(_commands(ROOT / "docs" / "tutorial.md")) >= 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_variable_in_the_documentation_is_a_setting(page: Path) -> None:
    used = set(re.findall(r"UNMASK_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8")))
    assert used <= KNOWN | OTHERS


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(UNMASK_\w+)`", text, re.MULTILINE)) == KNOWN


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
