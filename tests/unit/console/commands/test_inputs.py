"""What the arguments of `unmask scan` stand for."""

import io
import json
import os
from contextlib import closing
from pathlib import Path

import pytest

from console.commands.scanning.inputs import Inputs, done_before
from unmask.errors import ConfigError
from unmask.settings import Settings

SETTINGS = Settings()
GIF = b"GIF89a" + bytes(64)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two videos, one of them deep, a note, a hidden one, a pipe and a link in a circle."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.gif").write_bytes(GIF)
    (tmp_path / "deep" / "a.bin").write_bytes(GIF)
    (tmp_path / ".hidden.gif").write_bytes(GIF)
    (tmp_path / "note.txt").write_text("a note")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "deep" / "pipe.mp4")
    return tmp_path


def test_a_folder_is_walked_in_order_by_content(tree: Path) -> None:
    inputs = Inputs([str(tree)], SETTINGS, recursive=True)
    assert [given.media for given in inputs] == [tree / "b.gif", tree / "deep" / "a.bin"]
    assert inputs.passed_over == 2


def test_a_folder_without_recursive_is_one_input(tree: Path) -> None:
    assert [given.media for given in Inputs([str(tree)], SETTINGS)] == [tree]


def test_a_pattern_in_quotes_is_a_list_of_files(tree: Path) -> None:
    found = Inputs([f"{tree}/**/*.[gb]i[fn]"], SETTINGS)
    assert [given.name for given in found] == ["b.gif", "a.bin"]
    with pytest.raises(ConfigError, match="Check the pattern"):
        list(Inputs([f"{tree}/*.mov"], SETTINGS))


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tree: Path) -> None:
    odd = tree / "clip [1].gif"
    odd.write_bytes(GIF)
    assert [given.media for given in Inputs([str(odd)], SETTINGS)] == [odd]


def test_an_address_is_kept_whole_and_shown_without_its_secret() -> None:
    (given,) = Inputs(["s3://clips//a.mp4?x#y", ], SETTINGS)  # fmt: skip
    assert given.media == "s3://clips//a.mp4?x#y"
    assert given.shown == "s3://clips//a.mp4"
    assert given.name == "a.mp4"


def test_standard_input_carries_one_video(monkeypatch: pytest.MonkeyPatch) -> None:
    piped = io.TextIOWrapper(io.BytesIO(GIF))
    monkeypatch.setattr("sys.stdin", piped)
    with closing(Inputs(["-", "-"], SETTINGS)) as inputs:
        found = iter(inputs)
        assert Path(next(found).media).read_bytes() == GIF
        with pytest.raises(ConfigError, match=r"unmask scan - < clip\.mp4"):
            next(found)


def _line(name: str, state: str = "succeeded") -> bytes:
    return json.dumps({"input": name, "job_status": state}).encode() + b"\n"


def test_what_an_earlier_run_judged_is_left_out(tree: Path) -> None:
    done = tree / "lines.jsonl"
    done.write_bytes(_line(f"{tree}/b.gif") + _line("c", "failed") + b'{"input": "torn')
    assert done_before(done) == {f"{tree}/b.gif"}
    assert done.read_bytes().endswith(b'"failed"}\n')
    inputs = Inputs([str(tree)], SETTINGS, recursive=True, done=done_before(done))
    assert [given.name for given in inputs] == ["a.bin"]
    assert inputs.left_out == 1
    assert done_before(tree / "none.jsonl") == frozenset()


def test_another_file_than_a_runs_is_refused_and_left_as_it_is(tree: Path) -> None:
    note = tree / "note.txt"
    note.write_bytes(b"one\ntwo")
    with pytest.raises(ConfigError, match="unmask scan --json"):
        done_before(note)
    assert note.read_bytes() == b"one\ntwo"
