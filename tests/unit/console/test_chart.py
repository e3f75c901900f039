"""The Helm chart is the kustomize files under another name: both render to the same documents.

Helm itself is not run here: the chart uses `if`, `else`, `end` and `toJson` alone, which are few
enough to be rendered by the dozen lines below.
"""

import importlib.util
import json
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.unit.console.test_kubernetes import _FOREIGN, VERSION, rendered

ROOT = Path(__file__).resolve().parents[3]
_BLOCK = re.compile(
    r"\{\{- if \.Values\.(\w+) \}\}\n(.*?)(?:\{\{- else \}\}\n(.*?))?\{\{- end \}\}\n", re.DOTALL
)
_VALUE = re.compile(r"\{\{ toJson \.Values\.([\w.]+) \}\}")


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl absent: the chart is made from what kustomize renders")
    made: dict[str, str] = _module().chart()
    return made


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart", ROOT / "deploy/chart.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def installed(files: dict[str, str], **changed: Any) -> list[dict[str, Any]]:
    """What `helm template --set ...` would print."""
    values = yaml.safe_load(files["values.yaml"])
    for path, value in changed.items():
        holder = values
        *parts, last = path.split("__")
        for part in parts:
            holder = holder[part]
        assert last in holder, path
        holder[last] = value

    def value_of(match: re.Match[str]) -> str:
        found = values
        for part in match[1].split("."):
            found = found[part]
        return json.dumps(found)

    documents = []
    for name, text in files.items():
        if name.startswith("templates/"):
            chosen = _BLOCK.sub(lambda m: m[2] if values[m[1]] else m[3] or "", text)
            filled = _VALUE.sub(value_of, chosen)
            assert "{{" not in filled, "more of Helm than this test knows"
            documents += [each for each in yaml.safe_load_all(filled) if each]
    return documents


def in_order(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(documents, key=lambda each: (each["kind"], each["metadata"]["name"]))


@pytest.mark.parametrize(
    ("changed", "folder"), [({}, "base"), ({"gpu": True, "keda": True}, "overlays/gpu")]
)
def test_the_chart_installs_what_kustomize_does(
    files: dict[str, str], changed: dict[str, Any], folder: str
) -> None:
    found = installed(files, **changed)
    assert in_order(found) == in_order(rendered(folder))
    for document in found:
        if document["kind"] not in _FOREIGN:
            kubernetes_validate.validate(document, VERSION, strict=True)


def test_scaling_comes_without_a_gpu_too(files: dict[str, str]) -> None:
    plain, scaled = installed(files), installed(files, keda=True)
    kinds = [each["kind"] for each in scaled if each not in plain]
    assert kinds == ["ScaledObject"] * 3


def test_what_a_value_says_is_installed(files: dict[str, str]) -> None:
    found = installed(
        files,
        score__replicas=7,
        image__cpu="registry.example/unmask:1",
        secret="other",
        volume__accessModes=["ReadWriteOnce"],
    )
    named = {(each["kind"], each["metadata"]["name"]): each for each in found}
    score = named["Deployment", "unmask-score"]["spec"]
    assert score["replicas"] == 7
    [container] = score["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/unmask:1"
    assert container["envFrom"][1] == {"secretRef": {"name": "other"}}
    claim = named["PersistentVolumeClaim", "unmask-data"]["spec"]
    assert claim["accessModes"] == ["ReadWriteOnce"]


def test_the_chart_is_of_this_version(files: dict[str, str]) -> None:
    about = yaml.safe_load(files["Chart.yaml"])
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{about["appVersion"]}"' in text
    assert (about["apiVersion"], about["type"]) == ("v2", "application")
