"""`unmask rescan`: the verdicts of `scan`, byte for byte, from two Ray actors of which one is killed."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.e2e import clips
from tests.e2e.conftest import Installation
from tests.fakes import SLOW_MS

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
def test_two_actors_say_what_scan_says_though_one_is_killed(
    make_installation: Callable[[str], Installation],
) -> None:
    installation = make_installation("rescan")
    archive = installation.folder / "archive"
    archive.mkdir()
    for number in range(1, 4):
        clips.good(archive / f"{number}.mp4", 6 * number)
    (archive / "4.mp4").write_bytes((archive / "3.mp4").read_bytes()[:600])
    said = installation.unmask("scan", archive, "-r", "--json", "old.jsonl")
    assert said.returncode == 1, said.stderr  # a file cut short

    running = installation.start(
        "rescan", archive, "-r", "--json", "new.jsonl", "--against", "old.jsonl",
        **{SLOW_MS: "300", "COLUMNS": "100"},
    )  # fmt: skip
    _an_actor_at_work(running).kill()
    told, _ = running.communicate(timeout=500)
    assert running.returncode == 1, told
    old, new = (_lines(installation.folder / f"{name}.jsonl") for name in ("old", "new"))
    assert new == old and len(new) == 4
    assert "before" in told and "->" not in told
    # What failed would be tried again; else nothing is left to do, and Ray is not even started.
    (archive / "4.mp4").unlink()
    again = installation.unmask("rescan", archive, "-r", "--json", "new.jsonl", "--skip-done")
    assert again.returncode == 0 and "0 videos" in again.stdout
    assert _lines(installation.folder / "new.jsonl") == old


def test_what_cannot_be_done_names_the_fix(
    make_installation: Callable[[str], Installation],
) -> None:
    installation = make_installation("rescan-wrong")
    for arguments, fix in (
        ([], "--stored"),
        (["-"], "unmask scan -"),
        (["x.mp4", "--stored"], "--stored"),
        (["x.mp4", "--against", "none.jsonl"], "--json wrote"),
    ):
        done = installation.unmask("rescan", *arguments, "--json", "out.jsonl")
        assert done.returncode == 2 and fix in done.stderr, done.stderr


def _lines(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").splitlines())


def _an_actor_at_work(command: "subprocess.Popen[str]") -> psutil.Process:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and command.poll() is None:
        for child in psutil.Process(command.pid).children(recursive=True):
            try:
                if " ".join(child.cmdline()).startswith("ray::Judge.judge"):
                    return child
            except psutil.Error:
                continue
        time.sleep(0.05)
    command.kill()
    raise AssertionError(f"no actor: {command.communicate()[0]}")
