"""Print the versions that the images install: this environment's, for all that Unmask needs.

    python deploy/lock.py > deploy/constraints.txt

Run it in an environment whose tests have passed; the Dockerfiles install by what it printed.
"""

import re
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
#: What the images install beside the dependencies of every installation.
EXTRAS = ("postgres",)


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


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}=={version}\n" for name, version in sorted(needed().items())))
