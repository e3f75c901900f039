"""What to type where a library is missing: pyproject.toml's own pins, asked of what is installed.

Never the name of Unmask's own distribution: it is on no package index, and whoever registers a name
there owns everybody who types it. So a hint names the library itself.
"""

import re
from functools import cache
from importlib.metadata import entry_points

_COMMAND = "console.cli:main"


def install(*libraries: str) -> str:
    """The command that installs these libraries in the versions that Unmask is written to.

    >>> install("no-such-library")
    "pip install 'no-such-library'"
    """
    pins = _pins()
    return "pip install " + " ".join(f"'{pins.get(_plain(name), name)}'" for name in libraries)


@cache
def _pins() -> dict[str, str]:
    """Library -> its requirement, extras included, of the distribution that brings the command."""
    own = [point.dist for point in entry_points(group="console_scripts") if point.value == _COMMAND]
    found: dict[str, str] = {}
    for distribution in own:
        for text in (distribution.requires if distribution else None) or ():
            requirement = text.partition(";")[0].strip()
            match = re.match(r"[\w.-]+", requirement)
            if match:
                found.setdefault(_plain(match.group()), requirement)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
