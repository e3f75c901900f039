"""Run the real command in a process of its own, with a plugin that needs no torch."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes import install_brightness

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installation:
    """An environment in which `unmask` knows the quick test plugin, and owns its data."""

    folder: Path
    engines: Path
    """Of all installations: what is built for one serves the others."""

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("UNMASK_")}
        return (
            kept
            | {
                "PYTHONPATH": f"{self.folder / 'site'}:{ROOT}",
                "UNMASK_DATA_DIR": str(self.folder / "data"),
                "UNMASK_ENGINE_DIR": str(self.engines),
                "UNMASK_PLUGINS": '["brightness"]',
                "UNMASK_FACE_DETECTOR": "haar",
                "UNMASK_SAMPLE": "uniform:8",
                "COLUMNS": "160",
            }
            | extra
        )

    def unmask(
        self, *arguments: object, timeout_s: float = 240, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """`unmask ARGUMENTS`, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "console.cli", *map(str, arguments)],
            capture_output=True, text=True, timeout=timeout_s, check=False,
            env=self.environment(**extra), cwd=self.folder,
        )  # fmt: skip

    def start(self, *arguments: object, **extra: str) -> subprocess.Popen[str]:
        """`unmask ARGUMENTS`, left running."""
        return subprocess.Popen(
            [sys.executable, "-m", "console.cli", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self.environment(**extra), cwd=self.folder,
        )  # fmt: skip


@pytest.fixture(scope="session")
def make_installation(
    tmp_path_factory: pytest.TempPathFactory, engine_dir: Path
) -> Callable[[str], Installation]:
    """A fresh installation under a name."""

    def make(name: str) -> Installation:
        folder = tmp_path_factory.mktemp(name)
        install_brightness(folder / "site")
        return Installation(folder, engine_dir)

    return make
