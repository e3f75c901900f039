"""Do what the Dockerfile does, without a container builder: its RUN and COPY lines, in a clean /opt.

    python deploy/rehearse.py FOLDER            # the image without --target, then its command's help
    python deploy/rehearse.py FOLDER --target gpu

Each stage has a folder of its own, mounted over /opt in a mount namespace (which needs root), so that
paths are those of the image. What is not the image's: the Python and C library are this machine's,
and lines that make users or touch what lies outside /opt are printed and left out.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_WORKDIR = "/opt/build"


@dataclass
class Stage:
    """One FROM and the instructions that follow it."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def stages(text: str) -> dict[str, Stage]:
    """Name -> stage, in the order of the file. The last is what is built without a target."""
    found: dict[str, Stage] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = Stage(name, base)
            found[name] = stage
        else:
            stage.steps.append((word, rest))
    return found


class Rehearsal:
    """Makes stages in a folder, each once."""

    def __init__(self, folder: Path, found: dict[str, Stage]) -> None:
        self.folder, self.found = folder, found
        self.made: dict[str, Path] = {}

    def make(self, name: str) -> Path:
        """The folder that is the stage's /opt. Raises CalledProcessError."""
        if name in self.made:
            return self.made[name]
        stage = self.found[name]
        opt = self.folder / name
        if stage.base in self.found:
            shutil.copytree(self.make(stage.base), opt, symlinks=True)
        (opt / "build").mkdir(parents=True, exist_ok=True)
        for word, rest in stage.steps:
            say(f"{name}: {word} {rest[:90]}")
            if word == "RUN":
                self._run(opt, rest)
            elif word == "COPY":
                self._copy(opt, rest)
        self.made[name] = opt
        return opt

    def _run(self, opt: Path, command: str) -> None:
        if "useradd" in command:
            say("  left out: it makes a user")
            return
        inside(opt, command)

    def _copy(self, opt: Path, rest: str) -> None:
        origin, rest = re.match(r"(?:--from=(\w[\w-]*) )?(.*)", rest).groups()  # type: ignore[union-attr]
        *sources, target = rest.split()
        to = _within(opt, target)
        for source in sources:
            path = _within(self.make(origin), source) if origin else ROOT / source
            if path.is_dir():
                ignore = shutil.ignore_patterns("__pycache__", "*.py[cod]")
                shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True, ignore=ignore)
            else:
                shutil.copy2(path, to)


def inside(opt: Path, command: str) -> None:
    """Run a shell line where `opt` is /opt. Raises CalledProcessError."""
    mounted = f"mount --bind {shlex.quote(str(opt))} /opt && cd {_WORKDIR} && exec sh -c {shlex.quote(command)}"
    own = {k: v for k, v in os.environ.items() if not k.startswith(("UNMASK_", "PYTHON"))}
    subprocess.run(["unshare", "--mount", "sh", "-c", mounted], check=True, env=own)


def _within(opt: Path, path: str) -> Path:
    """A path of the image, absolute or below its working directory."""
    return opt / os.path.relpath(os.path.normpath(Path(_WORKDIR) / path), "/opt")


def say(line: str) -> None:
    """One line, at once: steps take minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Make one image's stages, then let its command speak."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--target")
    given = parser.parse_args()
    found = stages((ROOT / "deploy/Dockerfile").read_text(encoding="utf-8"))
    target = given.target or list(found)[-1]
    opt = Rehearsal(given.folder.resolve(), found).make(target)
    inside(opt, "/opt/unmask/bin/unmask --version && /opt/unmask/bin/unmask plugins")
    size = sum(path.lstat().st_size for path in opt.rglob("*"))
    say(f"{target}: {size / 1e9:.2f} GB under /opt, licence in: {(opt / 'LICENSE').is_file()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
