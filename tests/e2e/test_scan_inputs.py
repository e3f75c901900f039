"""Every door that `unmask scan` has: addresses, buckets, standard input, folders; and the wrong ones."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import clips
from tests.e2e.conftest import Installation
from tests.s3 import s3_server
from tests.web_servers import respond, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installation(make_installation: Callable[[str], Installation]) -> Installation:
    return make_installation("inputs")


@pytest.fixture(scope="module")
def clip(installation: Installation) -> Path:
    return clips.good(installation.folder / "good.mp4")


def lines(installation: Installation, name: str = "lines.jsonl") -> list[dict[str, Any]]:
    text = (installation.folder / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def by_path(installation: Installation, clip: Path) -> dict[str, Any]:
    """The line of the clip as a file: what every other door must say too."""
    assert installation.unmask("scan", clip, "--json", "path.jsonl").returncode == 0
    (found,) = lines(installation, "path.jsonl")
    assert found["media"] is not None
    return found


def same_but_for_the_name(line: dict[str, Any], other: dict[str, Any]) -> bool:
    return {k: v for k, v in line.items() if k != "input"} == {
        k: v for k, v in other.items() if k != "input"
    }


def test_an_address_is_judged_as_the_file_is_and_its_signature_stands_nowhere(
    installation: Installation, clip: Path, by_path: dict[str, Any]
) -> None:
    body = clip.read_bytes()
    with serving(lambda c, _: respond(c, "200 OK", body)) as server:
        url = server.url("/deep/good.mp4?X-Signature=s3cret")
        allowed = json.dumps([server.place])
        done = installation.unmask(
            "scan", url, "--json", "lines.jsonl", "--out", "out",
            UNMASK_FETCH_PRIVATE=allowed, UNMASK_LOG_LEVEL="debug",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = lines(installation)
    assert same_but_for_the_name(line, by_path)
    assert line["input"] == server.url("/deep/good.mp4")
    assert (installation.folder / "out" / "good" / "report.html").is_file()
    written = [p for p in installation.folder.rglob("*") if p.is_file() and p.stat().st_size < 1e6]
    texts = [done.stdout, done.stderr, *(p.read_bytes().decode("latin-1") for p in written)]
    assert not any("s3cret" in text for text in texts)


def test_an_object_of_a_bucket_is_judged_as_the_file_is(
    installation: Installation, clip: Path, by_path: dict[str, Any]
) -> None:
    with s3_server({"in/good clip.mp4": clip.read_bytes()}) as environment:
        done = installation.unmask(
            "scan", "s3://clips/in/good clip.mp4", "s3://clips/in/none.mp4", "s3://clips",
            "--json", "lines.jsonl", **environment,
        )  # fmt: skip
    first, missing, bare = lines(installation)
    assert same_but_for_the_name(first, by_path), done.stderr
    assert missing["reasons"][0]["code"] == "fetch_failed"
    assert "UNMASK_BUCKET_ENDPOINT" in missing["reasons"][0]["message"]
    assert "s3://BUCKET/PATH" in bare["reasons"][0]["message"]
    assert done.returncode == 1


def test_standard_input_is_judged_as_the_file_is(
    installation: Installation, clip: Path, by_path: dict[str, Any]
) -> None:
    for given, code in (
        (clip.read_bytes(), None),
        (b"", "empty_file"),
        (b"text", "unsupported_media"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "console.cli", "scan", "-", "--json", "-"],
            input=given, capture_output=True, timeout=240, check=False,
            env=installation.environment(), cwd=installation.folder,
        )  # fmt: skip
        line = json.loads(done.stdout)
        assert line["input"] == "-"
        if code is None:
            assert same_but_for_the_name(line, by_path), done.stderr
        else:
            assert line["reasons"][0]["code"] == code
            assert "standard input" in line["reasons"][0]["message"]


def test_a_folder_is_walked_and_a_run_that_was_cut_off_goes_on(installation: Installation) -> None:
    folder = installation.folder / "folder"
    (folder / "b" / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    clips.good(folder / "a.mp4", 8)
    clips.good(folder / "b" / "deep" / "c.bin", 8)
    clips.good(folder / ".hidden" / "d.mp4", 8)
    clips.text(folder / "notes.txt")
    (folder / "b" / "loop").symlink_to(folder)
    os.mkfifo(folder / "b" / "pipe.mp4")

    flat = installation.unmask("scan", folder, "--json", "flat.jsonl")
    assert flat.returncode == 1
    assert "--recursive" in lines(installation, "flat.jsonl")[0]["reasons"][0]["message"]

    arguments = ("scan", folder, "-r", "--jobs", "1", "--json", "deep.jsonl", "--out", "deep")
    done = installation.unmask(*arguments)
    assert done.returncode == 0, done.stderr
    found = lines(installation, "deep.jsonl")
    assert [Path(line["input"]).name for line in found] == ["a.mp4", "c.bin"]
    assert "Passed over 2 files: no media" in done.stdout

    file = installation.folder / "deep.jsonl"
    file.write_bytes(file.read_bytes()[:-200])  # as a killed run leaves it
    clips.good(folder / "e.mp4", 8)
    done = installation.unmask(*arguments, "--skip-done")
    assert done.returncode == 0, done.stderr
    found = lines(installation, "deep.jsonl")
    assert [Path(line["input"]).name for line in found] == ["a.mp4", "e.mp4", "c.bin"]
    assert "Passed over 1 files: judged before" in done.stdout
    index = (installation.folder / "deep" / "index.html").read_text(encoding="utf-8")
    assert all(f"{name}/report.html" in index for name in ("a", "c", "e"))


def test_wrong_addresses_have_a_reason_and_a_fix(installation: Installation) -> None:
    wrong = {
        "https://127.0.0.1/clip.mp4": "upload",
        "http://cdn.example.com/clip.mp4": "https://",
        "ftp://cdn.example.com/clip.mp4": "https://",
        "file:///etc/passwd": "https://",
    }
    done = installation.unmask("scan", *wrong, "--json", "wrong.jsonl")
    assert done.returncode == 1
    for line, (address, says) in zip(
        lines(installation, "wrong.jsonl"), wrong.items(), strict=True
    ):
        assert line["input"] == address
        assert line["reasons"][0]["code"] == "address_refused"
        assert says in line["reasons"][0]["message"]
