"""The house keeps its order: one word for each thing, rooms that are not corridors, plain English."""

import ast
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("unmask", "ingest", "detect_plugins", "workers", "console", "trainers", "research")
MODULES = sorted(
    path for name in PACKAGES for path in (ROOT / name).rglob("*.py") if path.stem != "__init__"
)
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", "out", "demo-out", "runs"} & set(path.relative_to(ROOT).parts)
    and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)

#: Names that stand several times in one sense: each room's part of one thing.
SAME_SENSE = {
    "config": "the configuration of a network, or of a training",
    "detector": "a plugin's class",
    "network": "a plugin's network",
    "targets": "what a network is trained towards",
    "modules": "parts of a network",
    "trunk": "a network's trunk",
    "decisions": "moderators' decisions",
    "submit": "handing a video in",
    "scan": "judging files on this machine",
    "keys": "API keys",
    "segments": "stretches of a video",
    "tracks": "faces followed",
    "client": "the Python client, and its room",
    "engines": "inference engines",
    "jobs": "a job's life, and the API to it",
    "store": "the database, and its room",
    "operate": "the operator's hand on jobs",
    "operation": "what an operator does, typed or by the API",
    "live": "live streams",
    "streams": "live streams, as rows and as an API",
    "notes": "what is said beside a verdict",
    "review": "judged videos before moderators, as rows and as pages",
}
OLD_WORDS = (
    "Opinion", "Looker", "Searcher", "Desk", "Delivery", "Gathered", "Member", "FaceOpinion",
    "PluginResult", "Scored",
)  # fmt: skip
OLD_VERBS = ("conclude", "forget")
UNITS = [
    "track",
    "clip",
    "crop",
    "video",
    "second",
    "minute",
    "plugin",
    "face",
    "frame",
    "person",
    "batch",
    "line",
    "job",
    "picture",
    "step",
    "hour",
    "class",
    "family",
    "process",
    "worker",
    "core",
    "request",
    "row",
    "stage",
    "cell",
    "file",
    "machine",
    "channel",
    "call",
    "stretch",
    "run",
    "patch",
    "input",
    "group",
    "level",
    "image",
    "epoch",
    "sample",
    "pixel",
]
#: "one crop a face", "25 frames a second", "a folder a video": the old dialect of "per".
DIALECT = re.compile(
    r"\b(?:one|once|two|three|four|[0-9][0-9.]*|a)\s(?:[\w`-]+\s)?(?:core-)?"
    r"(?:crops?|frames?|faces?|rows?|lines?|folders?|threads?|process|reports?|records?|objects?|"
    rf"verdicts?|tables?|ms|s|px|bytes|times|maps?|images?|points?|jobs?|id|it|once)\san?\s(?:{'|'.join(UNITS)})\b(?!['-])"
)  # fmt: skip
FINE = re.compile(
    r"(?:leaves|is|on|in|of|makes|takes|and|or) an? |7 s a face|upload a week|verdict a"
)


def _tracked(*endings: str) -> list[Path]:
    return [
        path
        for path in ROOT.rglob("*")
        if path.suffix in endings
        and path.is_file()
        and not any(part.startswith(".") or part in {"out", "demo-out", "runs"}
                    for part in path.relative_to(ROOT).parts)
    ]  # fmt: skip


TEXTS = _tracked(".py", ".md", ".toml", ".html", ".yaml")


def test_no_module_name_stands_in_two_senses() -> None:
    rooms: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        rooms[path.stem].add(str(path.parent.relative_to(ROOT)))
    for name in PACKAGES:
        for path in (ROOT / name).rglob("__init__.py"):
            rooms[path.parent.name].add(str(path.parent.parent.relative_to(ROOT)))
    twice = {name: sorted(where) for name, where in rooms.items() if len(where) > 1}
    assert {n: where for n, where in twice.items() if n not in SAME_SENSE} == {}
    assert set(SAME_SENSE) <= set(twice), "no longer twice: take it off the list"


def test_no_package_is_a_corridor() -> None:
    loose: dict[str, int] = defaultdict(int)
    for path in MODULES:
        loose[str(path.parent.relative_to(ROOT))] += 1
    assert {room: n for room, n in loose.items() if n > 12} == {}


@pytest.mark.parametrize("word", OLD_WORDS)
def test_no_old_word_names_anything(word: str) -> None:
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        assert word not in names, path


def test_no_old_verb_names_a_function() -> None:
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            node.name.strip("_") for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
        }
        assert not names & set(OLD_VERBS), path


def test_every_class_of_the_glossary_exists() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    code = "\n".join(path.read_text(encoding="utf-8") for path in MODULES)
    for name in re.findall(r"`([A-Z]\w+)`", text):
        assert re.search(rf"^class {name}\b", code, re.MULTILINE), name


def test_it_is_one_x_per_y() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in TEXTS
        if path != Path(__file__)
        for match in DIALECT.finditer(path.read_text(encoding="utf-8"))
        if not FINE.search(match.group())
    ]
    assert found == []


def test_nothing_refers_to_a_document_that_is_not_here() -> None:
    private = "models" + ".md"
    assert [p for p in TEXTS if private in p.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_a_page_end_at_100_characters(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    long = [line for line in lines if len(line) > 100 and not line.lstrip().startswith("|")]
    assert long == []


def test_log_events_are_a_noun_and_a_verb() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                event = str(node.args[0].value)
                assert re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", event), f"{path}: {event!r}"


def test_nobody_is_told_to_install_a_name_that_we_do_not_own() -> None:
    ours = re.compile(
        r"pip(?:3)? install [^\n]*?['\" ](unmask(?:-video|-client)?)(?:\[[\w,]+\])?['\" \n`.]"
    )
    told = [p for p in TEXTS if p != Path(__file__) and ours.search(p.read_text(encoding="utf-8"))]
    assert [p for p in told if p.name not in {"CHANGELOG.md"} and "adr" not in p.parts] == []
    for project in ("pyproject.toml", "deploy/client/pyproject.toml"):
        assert "Private :: Do Not Upload" in (ROOT / project).read_text(encoding="utf-8")


def test_contributing_answers_where_things_are() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    answers = re.findall(r"^\| ([^|]+) \| `([^`]+)` \|$", text, re.MULTILINE)
    assert len(answers) >= 20
    for question, path in answers:
        assert (ROOT / path).is_file(), question


def test_versions_agree_and_the_changelog_has_them() -> None:
    versions = {
        re.search(r'^(?:version|__version__) = "([^"]+)"', (ROOT / name).read_text(), re.M).group(1)
        for name in ("pyproject.toml", "deploy/client/pyproject.toml", "unmask/__init__.py")
    }
    (version,) = versions
    assert f"\n## {version} (" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_wheel_holds_no_research() -> None:
    done = subprocess.run(
        ["git", "grep", "-lE", r"^(from|import) research\b", "--", *PACKAGES[:-1]],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""
