"""What the Dockerfile does after its downloads, in a clean folder: the wheel alone is a working Unmask.

The downloads themselves, with their hashes, are done by `python deploy/rehearse.py FOLDER`: minutes
and gigabytes. Here what they bring comes from the environment that runs the tests.
"""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

from tests.unit.console.test_deploy import ROOT, recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_what_the_recipe_copies_builds_a_wheel_that_runs_alone(tmp_path: Path) -> None:
    found = recipe()
    context = tmp_path / "build"
    context.mkdir()
    for word, rest in found["build"].steps:
        if word == "COPY":
            *sources, _ = rest.split()
            for source in sources:
                subprocess.run(["cp", "-r", str(ROOT / source), str(context)], check=True)
    [build] = [rest for word, rest in found["build"].steps if "hatchling" in rest]
    command = build.replace("/opt/tools/bin/python", sys.executable)
    subprocess.run(command, shell=True, cwd=context, check=True, capture_output=True)
    [wheel] = (context / "dist").glob("*.whl")

    clean = tmp_path / "clean"
    venv.create(clean, with_pip=True)
    python = clean / "bin/python"
    install = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(clean)}))
    [licence] = site.glob("unmask_video-*.dist-info/licenses/LICENSE")
    assert "Apache License" in licence.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    there = {path.name for path in site.iterdir() if path.is_dir()}
    assert packages <= there
    assert not {"tests", "research", "benchmarks", "deploy"} & there

    needs = [Path(each) for each in sys.path if each.endswith("site-packages")]
    for path in (path for folder in needs for path in folder.iterdir()):
        # All but what makes this checkout importable.
        if not (site / path.name).exists() and not path.name.startswith(
            ("unmask_video", "_unmask")
        ):
            (site / path.name).symlink_to(path)
    for path in (*site.glob("*.pth"), *site.glob("__editable__*")):
        path.unlink()
    own = {k: v for k, v in os.environ.items() if not k.startswith(("UNMASK_", "PYTHON"))}

    def said(*command: str) -> str:
        done = subprocess.run(
            [str(clean / "bin" / command[0]), *command[1:]],
            cwd=tmp_path, env=own, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    assert str(clean) in said("python", "-c", "import console; print(console.__file__)")
    assert '"sola"' in said("unmask", "plugins", "--json")
