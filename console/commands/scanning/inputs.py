"""What a command line names, as inputs: files, folders, patterns, addresses, standard input."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

from console.show.lines import shown_path
from ingest.fetching import places
from ingest.fetching.fetch import spool
from ingest.sources import sniff
from unmask.errors import ConfigError, MediaRefused
from unmask.settings import Settings
from workers.run.scan_result import Input

_HEAD = 4096
_PATTERN = "*?["


@dataclass
class Inputs:
    """Iterate once: what to judge, in a fixed order. `passed_over` counts what is no media."""

    arguments: Sequence[str]
    settings: Settings
    recursive: bool = False
    done: frozenset[str] = frozenset()
    """Inputs to leave out, by their shown names."""
    passed_over: int = 0
    left_out: int = 0
    _spooled: list[BufferedReader] = field(default_factory=list)

    def __iter__(self) -> Iterator[Input]:
        """Raises ConfigError for a pattern that nothing matches, and for a terminal as input."""
        for argument in self.arguments:
            for found in self._named(argument):
                if shown_path(found.shown) in self.done:
                    self.left_out += 1
                else:
                    yield found

    def close(self) -> None:
        """Let go of what was kept of standard input."""
        for file in self._spooled:
            file.close()

    def _named(self, argument: str) -> Iterator[Input]:
        if argument == "-":
            yield self._standard_input()
        elif places.scheme_of(argument) is not None:
            yield Input.of(argument)
        elif any(c in argument for c in _PATTERN) and not os.path.lexists(argument):
            yield from self._matches(argument)
        elif self.recursive and Path(argument).is_dir():
            yield from self._walk(Path(argument))
        else:
            yield Input.of(Path(argument))

    def _standard_input(self) -> Input:
        if self._spooled or sys.stdin.isatty():
            raise ConfigError(
                "standard input carries one video, from a pipe or a file.",
                fix="For example: unmask scan - < clip.mp4.",
            )
        file = spool(sys.stdin.buffer, self.settings)
        self._spooled.append(file)
        return Input(shown="-", media=Path(f"/proc/self/fd/{file.fileno()}"))

    def _matches(self, pattern: str) -> Iterator[Input]:
        root = Path(Path(pattern).anchor)
        found = [
            path
            for path in sorted(root.glob(str(Path(pattern).relative_to(root))))
            if not path.name.startswith(".")
        ]
        if not found:
            raise ConfigError(f"nothing matches {pattern!r}.", fix="Check the pattern.")
        for path in found:
            if not path.is_dir():
                yield Input.of(path)
            elif self.recursive and "**" not in pattern:
                yield from self._walk(path)

    def _walk(self, folder: Path) -> Iterator[Input]:
        """Media below `folder`, by content and in order of name; links to folders are not followed."""
        for where, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(where) / name
                if not name.startswith(".") and self._is_media(path):
                    yield Input.of(path)

    def _is_media(self, path: Path) -> bool:
        try:
            if path.is_file():
                with path.open("rb") as file:
                    sniff(file.read(_HEAD), path.name)
                return True
        except MediaRefused:
            pass
        except OSError:
            return True  # judged in its turn, where it says why it cannot be read
        self.passed_over += 1
        return False


def done_before(path: Path) -> frozenset[str]:
    """Inputs that an earlier run judged, by its lines; a line that was cut off is taken away.

    Raises ConfigError where the file holds something else.
    """
    if not path.exists():
        return frozenset()
    try:
        whole, _, torn = path.read_bytes().rpartition(b"\n")
        found = set()
        for text in whole.splitlines():
            values = json.loads(text)
            if values["job_status"] == "succeeded":
                found.add(str(values["input"]))
            else:
                found.discard(str(values["input"]))
        if torn:
            os.truncate(path, len(whole) + 1 if whole else 0)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--json {path} is not what `unmask scan --json` writes.",
            fix="Name the file of the earlier run, or a new one.",
        ) from error
    return frozenset(found)
