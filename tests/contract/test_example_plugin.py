"""A third party's plugin is found, loaded and held to the same contract as our own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from detect_plugins.catalogue import load_catalogue, load_detector
from unmask.plugin import Detector
from unmask.testing import DetectorContract, enliven

#: Key -> why it cannot be loaded; nothing where it can.
LIST_PLUGINS = """
import json
from detect_plugins.catalogue import load_catalogue, load_class
from unmask.errors import PluginBroken
found = {}
for entry in load_catalogue().entries:
    try:
        load_class(entry)
        found[entry.key] = ""
    except PluginBroken as error:
        found[entry.key] = str(error)
print(json.dumps(found))
"""


class TestMesoNet4(DetectorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def detector(cls, example_installed: Path) -> Detector:
        return enliven(load_detector(load_catalogue().get("mesonet4"), None, "cpu"))

    def test_it_has_the_size_that_its_paper_states(self, detector: Detector) -> None:
        assert sum(p.numel() for p in detector.serving().parameters()) == 27_977


def installed(project: Path, target: Path) -> dict[str, str]:
    """What the catalogue of a fresh interpreter lists after pip installed `project` in `target`."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*pip, *offline, str(project)], check=True, capture_output=True, timeout=120)
    done = subprocess.run(
        [sys.executable, "-c", LIST_PLUGINS],
        env={**os.environ, "PYTHONPATH": str(target)},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_pip_install_is_all_that_a_plugin_needs(tmp_path: Path, example_project: Path) -> None:
    found = installed(example_project, tmp_path / "target")
    assert found["mesonet4"] == ""
    assert found["sola"] == ""


@pytest.mark.slow
def test_an_installed_plugin_that_cannot_be_imported_is_listed_with_its_cause(
    tmp_path: Path, example_project: Path
) -> None:
    detector = example_project / "unmask_mesonet4" / "detector.py"
    detector.write_text("import a_library_nobody_has\n" + detector.read_text())
    found = installed(example_project, tmp_path / "target")
    assert "No module named 'a_library_nobody_has'" in found["mesonet4"]
    assert found["sola"] == ""


@pytest.fixture
def example_project(tmp_path: Path) -> Path:
    """A copy of the example, to build and break."""
    source = Path(__file__).resolve().parents[2] / "examples" / "mesonet4"
    return Path(shutil.copytree(source, tmp_path / "project"))
