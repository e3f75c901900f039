"""Installs the example plugin for a while, as an installer would: its folder and its metadata."""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mesonet4"


def write_metadata(project: Path, target: Path) -> Path:
    """The dist-info that installing `project` would leave in `target`."""
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = table["name"].replace("-", "_")
    folder = target / f"{name}-{table['version']}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {table['name']}\nVersion: {table['version']}\n"
    )
    lines = []
    for group, points in table["entry-points"].items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="class")
def example_installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The example project on sys.path, with its entry point visible."""
    target = tmp_path_factory.mktemp("site")
    write_metadata(EXAMPLE, target)
    added = [str(target), str(EXAMPLE)]
    sys.path[:0] = added
    yield EXAMPLE
    for path in added:
        sys.path.remove(path)
    for name in [name for name in sys.modules if name.startswith("unmask_mesonet4")]:
        del sys.modules[name]
