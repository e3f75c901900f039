"""The deployment files speak of this version: commands, options, variables and folders exist."""

import configparser
import importlib.util
import json
import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from packaging.requirements import Requirement

from console.cli import app
from unmask.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"


def recipe() -> dict[str, Any]:
    """The Dockerfile's stages, as deploy/rehearse.py reads them."""
    spec = importlib.util.spec_from_file_location("rehearse", DEPLOY / "rehearse.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rehearse"] = module  # where its dataclass looks for itself
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.stages((DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    return found


def _compose(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    return found


def _exists(arguments: list[str]) -> None:
    """Walk to the command; its options must be known. Runs nothing."""
    command: Any = typer.main.get_command(app)
    while arguments and hasattr(command, "commands"):
        assert arguments[0] in command.commands, arguments
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context("unmask", arguments)


def _commands() -> list[list[str]]:
    found = [
        service["command"]
        for service in _compose("compose.yaml")["services"].values()
        if service.get("command", [""])[0] == "unmask"
    ]
    steps = [step for stage in recipe().values() for step in stage.steps]
    found += [json.loads(rest) for word, rest in steps if word == "CMD"]
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "unmask.service")
    found.append(["unmask", *shlex.split(unit["Service"]["ExecStart"])[1:]])
    return found


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_every_command_of_the_deployment_exists(command: list[str]) -> None:
    assert command[0] == "unmask"
    _exists(command[1:])


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    with pytest.raises(AssertionError):
        _exists(["worker", "paint"])
    with pytest.raises(Exception, match="--nonsense"):
        _exists(["serve", "--nonsense"])


def test_the_deployment_has_every_role() -> None:
    services = _compose("compose.yaml")["services"]
    assert set(services) == {"api", "ingest", "score", "verdict", "stream", "redis", "postgres"}
    assert services["redis"]["command"][1:] == [
        "--maxmemory-policy", "noeviction", "--appendonly", "yes",
    ]  # fmt: skip


def test_every_variable_of_the_deployment_is_a_setting() -> None:
    known = {f"UNMASK_{name.upper()}" for name in Settings.model_fields}
    for path in filter(Path.is_file, DEPLOY.rglob("*")):
        used = set(re.findall(r"UNMASK_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8")))
        assert used <= known, f"{path.name}: {used - known}"


def test_the_compose_settings_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = _compose("compose.yaml")["services"]["api"]["environment"]
    for name, value in environment.items():
        text = re.sub(r"\$\{(\w+):-([^}]*)\}", r"\2", value)
        monkeypatch.setenv(name, re.sub(r"\$\{[^}]*\}", "secret", text))
    settings = Settings()
    assert settings.media_roots == (Path("/media"),)
    # The README's commands run from the repository's root: ./media there, wherever compose looks.
    [media] = [v for v in _compose("compose.yaml")["x-unmask"]["volumes"] if v.endswith(":ro")]
    default = re.sub(r"\$\{MEDIA:-([^}]*)\}", r"\1", media).partition(":")[0]
    assert (DEPLOY / default).resolve() == ROOT / "media"
    assert settings.database().startswith("postgresql+psycopg://unmask:secret@")


def test_the_images_hold_every_package_and_the_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    steps = [step for stage in recipe().values() for step in stage.steps]
    copied = {rest.split()[0] for word, rest in steps if word == "COPY" and rest.count(" ") == 1}
    assert packages <= copied
    assert "LICENSE" in copied, "for whoever opens the image"
    [line] = [r for w, r in recipe()["build"].steps if w == "COPY" and "pyproject.toml" in r]
    assert "LICENSE" in line, "for the wheel"
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert not {f"{name}" for name in packages} & set(ignored)
    assert {".git", ".venv", "tests"} <= set(ignored)


def test_no_image_runs_as_root_and_none_holds_what_built_it() -> None:
    found = recipe()
    for name in ("cpu", "gpu"):
        stage = found[name]
        assert stage.base == "base", "not the stage that holds the tools"
        assert all(word != "USER" for word, _ in stage.steps)
        copied = [rest for word, rest in stage.steps if word == "COPY"]
        assert len(copied) == 1 and copied[0].endswith(" /opt/unmask /opt/unmask")
    users = [rest for word, rest in found["base"].steps if word == "USER"]
    assert users == ["10001:10001"]
    assert list(found)[-1] == "cpu"


def test_whatever_an_image_installs_has_a_hash_but_for_what_the_recipe_names() -> None:
    installing = [
        command.strip()
        for stage in recipe().values()
        for word, rest in stage.steps
        if word == "RUN"
        for command in re.split(r"&&|;|\bthen\b|\belse\b", rest)
        if "pip install" in command
    ]
    free = [c for c in installing if "--require-hashes" not in c and "--no-index" not in c]
    assert [c.rpartition("install ")[2] for c in free] == [
        '--no-deps --index-url "$TORCH_INDEX" torch==2.13.0 torchvision==0.28.0',
        "torch-tensorrt==2.13.0",
    ]
    for command in installing:
        if "--require-hashes" in command:
            assert "--only-binary :all:" in command, "building one would fetch without hashes"


def test_the_gpu_file_only_changes_services_there_are() -> None:
    services = set(_compose("compose.gpu.yaml")["services"])
    assert services <= set(_compose("compose.yaml")["services"])


@pytest.mark.parametrize("name", ["constraints.txt", "cuda.txt", "build.txt"])
def test_every_locked_distribution_has_one_version_and_hashes(name: str) -> None:
    for entry in locked(name).values():
        assert re.fullmatch(r"\S+( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry[:80]


def test_the_lock_has_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = project["project"]["dependencies"]
    asked = asked + project["project"]["optional-dependencies"]["postgres"]
    for lines, name in (
        (asked, "constraints.txt"),
        (project["build-system"]["requires"], "build.txt"),
    ):
        found = locked(name)
        for line in lines:
            need = Requirement(line)
            version = found[need.name.lower()].split()[0].partition("==")[2]
            assert version in need.specifier, f"{line}: run deploy/lock.py again"
    assert not set(locked("constraints.txt")) & set(locked("cuda.txt"))
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for name in ("torch", "torchvision"):
        assert f"{locked('constraints.txt')[name].split()[0]}" in text


def locked(name: str) -> dict[str, str]:
    """Distribution -> its entry in a lock."""
    text = (DEPLOY / name).read_text(encoding="utf-8").strip()
    return {each.partition("==")[0]: each for each in re.split(r"\n(?=\S)", text)}
