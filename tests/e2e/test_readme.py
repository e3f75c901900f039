"""What the README and the tutorial tell a reader to type works: the quick commands are run."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import clips
from tests.e2e.conftest import ROOT, Installation

RUN = re.compile(r"^unmask (scan|plugins|doctor|decisions|schema|engines list)\b")
#: Typed by readers, and proved by other tests or by nothing but a reader's eyes.
NOT_RUN = re.compile(
    r"^(make |source |export |curl |pip |docker |unmask (serve|worker|submit|demo|models|watch)\b)"
)


def _typed(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL)).splitlines()
    return [line[2:].partition("  #")[0].strip() for line in lines if line.startswith("$ ")]


LINES = sorted({line for page in ("README.md", "docs/tutorial.md") for line in _typed(page)})


@pytest.fixture(scope="module")
def reader(make_installation: Callable[[str], Installation]) -> Iterator[Installation]:
    installation = make_installation("reader")
    folder = installation.folder / "clips"
    folder.mkdir()
    clips.good(folder / "one.mp4", 8)
    clips.faceless(folder / "two.mp4")
    yield installation


def test_every_line_is_run_here_or_known_not_to_be() -> None:
    assert [line for line in LINES if not RUN.match(line) and not NOT_RUN.match(line)] == []
    assert any(RUN.match(line) for line in LINES)


@pytest.mark.parametrize("line", [line for line in LINES if RUN.match(line)])
def test_what_a_reader_types_works(reader: Installation, line: str) -> None:
    bare = line.partition(" | ")[0]
    environment = reader.environment()
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", bare],
        cwd=reader.folder, env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or "--json" in bare
