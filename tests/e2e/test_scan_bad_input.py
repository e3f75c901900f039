"""Good and bad files in one batch: each ends in a verdict or a reason, and the batch goes on."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from console.show.verdict_schema import verdict_schema
from tests.e2e import clips
from tests.e2e.conftest import Installation

ODD_NAME = 'it\'s a "clip" with spaces, ünïcode and 名前 [bold]x[red].mp4'


@dataclass(frozen=True)
class Batch:
    """What one run of the command said of every input."""

    installation: Installation
    exit_code: int
    names: list[str]
    lines: list[dict[str, Any]]
    output: str
    errors: str

    def of(self, name: str) -> dict[str, Any]:
        return self.lines[self.names.index(name)]

    def codes(self, name: str) -> list[str]:
        return [reason["code"] for reason in self.of(name)["reasons"]]


@pytest.fixture(scope="module")
def batch(make_installation: Callable[[str], Installation]) -> Batch:
    installation = make_installation("batch")
    media = installation.folder / "media"
    media.mkdir()
    made: list[Path] = [
        clips.good(media / "good.mp4"),
        media / "missing.mp4",
        media / "folder",
        clips.text(media / "text.mp4"),
        clips.empty(media / "empty.mp4"),
        clips.truncated(media / "truncated.mp4"),
        clips.audio_only(media / "audio.mp4"),
        clips.picture(media / "picture.jpg"),
        clips.picture(media / "picture.mp4"),
        clips.good(media / "one-frame.mp4", 1),
        clips.huge(media / "huge.gif"),
        clips.faceless(media / "faceless.mp4"),
        clips.small_faces(media / "small.mp4"),
        clips.variable_rate(media / "variable.mp4"),
        clips.rotated(media / "rotated.mp4"),
        clips.corrupt(media / "corrupt.mp4"),
        clips.good(media / ODD_NAME),
    ]
    (media / "folder").mkdir()
    out = installation.folder / "out"
    done = installation.unmask("scan", *made, "--json", "lines.jsonl", "--out", out)
    text = (installation.folder / "lines.jsonl").read_text(encoding="utf-8")
    return Batch(
        installation=installation,
        exit_code=done.returncode,
        names=[path.name for path in made],
        lines=[json.loads(line) for line in text.splitlines()],
        output=done.stdout,
        errors=done.stderr,
    )


def test_every_input_has_one_line_in_order(batch: Batch) -> None:
    assert [Path(line["input"]).name for line in batch.lines] == batch.names, batch.errors
    assert "Traceback" not in batch.errors


REFUSED = {
    "missing.mp4": "not_found",
    "folder": "not_a_file",
    "text.mp4": "unsupported_media",
    "empty.mp4": "empty_file",
    "truncated.mp4": "truncated",
    "audio.mp4": "no_video_stream",
    "huge.gif": "too_many_pixels",
}


@pytest.mark.parametrize(("name", "code"), REFUSED.items())
def test_what_is_no_video_fails_with_its_reason(batch: Batch, name: str, code: str) -> None:
    line = batch.of(name)
    assert line["job_status"] == "failed"
    assert line["verdict"] == "inconclusive"
    assert line["p_fake"] is None
    assert batch.codes(name)[0] == code
    assert line["coverage"]["scored"] == 0


@pytest.mark.parametrize("name", ["picture.jpg", "picture.mp4"])
def test_a_picture_is_judged_as_one_look(batch: Batch, name: str) -> None:
    line = batch.of(name)
    assert line["job_status"] == "succeeded"
    assert line["p_fake"] is not None
    assert line["calibrated"] is False
    assert line["media"]["picture"] is True
    assert line["verdict"] in ("suspicious", "no_sign_found")
    assert "single_frame" in batch.codes(name)


UNJUDGED = {
    "one-frame.mp4": {"too_few_frames"},
    "faceless.mp4": {"no_face"},
    "small.mp4": {"face_too_small", "no_face"},
}


@pytest.mark.parametrize(("name", "codes"), UNJUDGED.items())
def test_what_shows_too_little_succeeds_inconclusive(
    batch: Batch, name: str, codes: set[str]
) -> None:
    line = batch.of(name)
    assert line["job_status"] == "succeeded"
    assert line["verdict"] == "inconclusive"
    assert line["p_fake"] is None
    assert batch.codes(name)[0] in codes


@pytest.mark.parametrize(
    "name", ["good.mp4", "variable.mp4", "rotated.mp4", "corrupt.mp4", ODD_NAME]
)
def test_what_can_be_judged_is_judged(batch: Batch, name: str) -> None:
    line = batch.of(name)
    assert line["job_status"] == "succeeded", line["reasons"]
    assert line["p_fake"] is not None, line["reasons"]
    assert line["coverage"]["scored"] > 0


@pytest.mark.parametrize("name", [*REFUSED, *UNJUDGED])
def test_every_reason_has_a_sentence_that_names_the_fix(batch: Batch, name: str) -> None:
    message = batch.of(name)["reasons"][0]["message"]
    sentences = [part for part in message.replace("?", ".").split(". ") if part.strip()]
    assert len(sentences) >= 2 or ":" in message or ";" in message, message
    assert message.rstrip().endswith("."), message


def test_coverage_adds_up_for_every_input(batch: Batch) -> None:
    for line in batch.lines:
        found = line["coverage"]
        assert found["sampled"] == found["scored"] + found["no_face"] + found["failed"], line[
            "input"
        ]


def test_the_truth_of_each_video_is_told(batch: Batch) -> None:
    rotated = batch.of("rotated.mp4")["media"]
    assert (rotated["rotation_deg"], rotated["width"], rotated["height"]) == (90, 384, 512)
    variable = batch.of("variable.mp4")
    times = [point["pts_ms"] for point in variable["tracks"][0]["timeline"]]
    assert max(times) >= 8000
    corrupt = batch.of("corrupt.mp4")["coverage"]
    assert corrupt["corrupt_packets"] > 0 or corrupt["failed"] > 0 or corrupt["decoded"] < 32


def test_the_exit_code_says_that_some_input_failed(batch: Batch) -> None:
    assert batch.exit_code == 1


def test_every_verdict_of_the_batch_has_its_folder(batch: Batch) -> None:
    out = batch.installation.folder / "out"
    judged = [line for line in batch.lines if line["job_status"] == "succeeded"]
    documents = sorted(out.glob("*/verdict.json"))
    assert len(documents) == len(judged)
    for path in documents:
        verdict = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.validate(verdict, verdict_schema())
        assert (path.parent / "report.html").is_file()
        for item in verdict["evidence"]:
            for url in (item["face_url"], item["heatmap_url"]):
                assert (path.parent / url).read_bytes().startswith(b"\x89PNG")
    index = (out / "index.html").read_text(encoding="utf-8")
    assert index.count("report.html") == len(judged)


def test_an_odd_name_is_shown_as_it_is(batch: Batch) -> None:
    assert "[bold]x[red]" in batch.output.replace("\n", "")
    index = (batch.installation.folder / "out" / "index.html").read_text(encoding="utf-8")
    assert "it&#39;s a &#34;clip&#34;" in index


def test_a_second_run_gives_the_same_bytes_pure_json_and_exit_code_zero(batch: Batch) -> None:
    media, folder = batch.installation.folder / "media", batch.installation.folder
    names = ["good.mp4", "faceless.mp4", "one-frame.mp4"]
    paths = [media / name for name in names]
    done = batch.installation.unmask("scan", *paths, "--json", "-", "--out", folder / "again")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [batch.of(name) for name in names]
    for name in ("good", "faceless"):
        first, again = (folder / out / name / "verdict.json" for out in ("out", "again"))
        assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sample", "fps:many"], "fps:many"),
        (["--plugins", "nonesuch"], "nonesuch"),
        (["--json", "/nowhere/x.jsonl"], "--json"),
    ],
)
def test_a_wrong_option_is_named_before_any_work(
    batch: Batch, arguments: list[str], said: str
) -> None:
    media = batch.installation.folder / "media"
    done = batch.installation.unmask("scan", media / "good.mp4", *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
