"""A few hostile files of each kind: refused or judged, with a reason, and nobody is hurt.

All of them, over 300, are `python benchmarks/hostile.py`.
"""

from pathlib import Path

import pytest

from tests.hostile import KINDS, Bait, HostileFile, sample
from tests.hostile_runs import SETTINGS, Faceless, take_in
from unmask.plugin import Images

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_hostile_files_end_with_a_reason_and_hurt_nobody(tmp_path: Path) -> None:
    with Bait(tmp_path / "bait") as bait:
        folder = tmp_path / "files"
        folder.mkdir()
        files = sample(folder, bait, 2)
        assert {file.kind for file in files} == set(KINDS)
        before = len(list(Path("/proc/self/fd").iterdir()))
        faults = {str(file.path): take_in(file, bait).faults for file in files}
        assert not {path: said for path, said in faults.items() if said}
        assert (bait.calls, bait.was_read) == (0, False)
        # Another test's may be closed or opened meanwhile; one left by each file would be seen.
        assert len(list(Path("/proc/self/fd").iterdir())) < before + len(files) // 2


def test_what_hurts_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Following(Faceless):
        """A careless part of ours, that takes both baits and then fails."""

        def detect(self, rgb: Images) -> list[object]:
            import urllib.request

            bait.video.read_bytes()
            urllib.request.urlopen(bait.url, timeout=60)
            raise AssertionError

    monkeypatch.setattr("tests.hostile_runs.Faceless", Following)
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Bait(tmp_path / "bait") as bait:
        run = take_in(HostileFile("name", bait.video), bait, SETTINGS)
        said = " ".join(run.faults)
        assert "called the server" in said and "read the video outside" in said
        assert "the worker's job ends in" in said
