"""Print what the images install: versions and the hashes of their files, for `--require-hashes`.

    python deploy/lock.py > deploy/constraints.txt    # what Unmask needs
    python deploy/lock.py cuda > deploy/cuda.txt      # what PyTorch with CUDA needs beside it
    python deploy/lock.py build > deploy/build.txt    # what builds the wheel

Run it in an environment whose tests have passed: the versions are its own, and the index says (by
`uv`, from the development tools) with which hashes. No distribution is downloaded.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
#: What the images install beside the dependencies of every installation.
EXTRAS = ("postgres",)
#: The images' Python and C library.
_PLATFORM = ("--python-version", "3.11.9", "--python-platform", "x86_64-manylinux_2_28")


def needed() -> dict[str, str]:
    """Name -> version of every distribution that an image needs, the needs of needs included.

    Raises PackageNotFoundError where this environment lacks one.
    """
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    wanted += [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    found: dict[str, str] = {}
    todo = [(Requirement(line), "") for line in wanted]
    while todo:
        need, asked_extra = todo.pop()
        if need.marker is not None and not need.marker.evaluate({"extra": asked_extra}):
            continue
        name = re.sub(r"[-_.]+", "-", need.name).lower()
        known = name in found
        package = distribution(need.name)
        found[name] = package.version.partition("+")[0]  # not the build of this machine
        extras = need.extras or {""}
        if not known or need.extras:
            todo += [(Requirement(line), e) for line in package.requires or () for e in extras]
    return found


def hashed(wanted: Iterable[str]) -> dict[str, str]:
    """Name -> `name==version` with its hashes, of `wanted` and all that they need.

    Raises CalledProcessError where they contradict each other.
    """
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        raise SystemExit("uv is missing: pip install uv, or the development tools again.")
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "asked.in"
        asked.write_text("\n".join(wanted), encoding="utf-8")
        command = [
            uv, "pip", "compile", str(asked), "--generate-hashes", "--no-header", "--no-annotate",
            "--quiet", *_PLATFORM,
        ]  # fmt: skip
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    entries = re.split(r"\n(?=\S)", done.stdout.strip())
    return {entry.partition("==")[0]: entry for entry in entries}


def main(part: str = "") -> None:
    """Print one part of the lock."""
    if part == "build":
        found = hashed(
            tomllib.loads(PROJECT.read_text(encoding="utf-8"))["build-system"]["requires"]
        )
    else:
        versions = needed()
        pins = [f"{name}=={version}" for name, version in versions.items()]
        found = hashed(pins)
        found = {n: e for n, e in found.items() if (n in versions) == (part != "cuda")}
    sys.stdout.write("".join(f"{found[name]}\n" for name in sorted(found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
