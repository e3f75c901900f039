"""The deployment files speak of this version: commands, options, variables and folders exist."""

import configparser
import json
import re
import shlex
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
DOCKERFILES = ["Dockerfile", "Dockerfile.gpu"]


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
    for name in DOCKERFILES:
        (line,) = re.findall(r"^CMD (\[.*\])$", (DEPLOY / name).read_text(), re.MULTILINE)
        found.append(json.loads(line))
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


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_images_hold_every_package(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    text = (DEPLOY / name).read_text(encoding="utf-8")
    copied = {source for source, _ in re.findall(r"^COPY (\w+) (\w+)$", text, re.MULTILINE)}
    assert copied == packages
    assert re.search(r"^COPY .*\bLICENSE\b", text, re.MULTILINE), "the wheel needs it"
    extras = re.search(r"pip install .*'\.\[(.*?)\]'", text)
    assert extras is not None
    assert set(extras.group(1).split(",")) <= set(project["project"]["optional-dependencies"])


def test_the_gpu_file_only_changes_services_there_are() -> None:
    services = set(_compose("compose.gpu.yaml")["services"])
    assert services <= set(_compose("compose.yaml")["services"])


def test_the_images_install_locked_versions_of_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (DEPLOY / "constraints.txt").read_text(encoding="utf-8").split()
    locked = dict(line.split("==") for line in lines)
    for line in project["dependencies"] + project["optional-dependencies"]["postgres"]:
        need = Requirement(line)
        assert locked[need.name.lower()] in need.specifier, f"{line}: run deploy/lock.py again"
    for name in DOCKERFILES:
        assert "pip install -c constraints.txt" in (DEPLOY / name).read_text(encoding="utf-8")
