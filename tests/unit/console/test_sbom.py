"""What the images hold is listed, and nothing in it has a licence that may not be shipped."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "deploy/sbom.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_bill_is_whole_and_may_be_shipped(sbom: ModuleType) -> None:
    found = sbom.bill()
    assert found["bomFormat"] == "CycloneDX"
    assert list(sbom.refused(found)) == []
    locked = re.findall(r"^(\S+)==", (ROOT / "deploy/constraints.txt").read_text(), re.MULTILINE)
    assert set(locked) == {sbom._plain(component["name"]) for component in found["components"]}
    assert not any(c["name"].startswith("pytest") for c in found["components"])


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"license": {"id": "MIT"}}], {"MIT"}),
        ([{"expression": "Apache-2.0 WITH LLVM-exception"}], {"Apache-2.0", "LLVM-exception"}),
        ([{"license": {"name": "License :: OSI Approved :: BSD License"}}], {"BSD"}),
        ([{"license": {"id": "AGPL-3.0-only"}}], {"AGPL-3.0-only"}),
        ([], set()),
    ],
)
def test_a_licence_is_read_in_every_form(
    sbom: ModuleType, entries: list[Any], said: set[str]
) -> None:
    component = {"name": "something", "licenses": entries}
    assert sbom.licences(component) == said
    faults = [f for f in sbom.refused({"components": [component]}) if "something" in f]
    assert bool(faults) == (not said or not said <= sbom.ALLOWED)
