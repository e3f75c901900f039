"""Look at a tree and say what is wrong with it: what was looked for, what was found."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainers.datasets.sample import Description, Listing
from unmask.errors import ConfigError

VIDEOS = frozenset(
    {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".gif", ".mpg", ".mpeg", ".ts"}
)
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
_SHOWN = 6


def unexpected(
    description: Description, root: Path, looked_for: str, *, also: str = ""
) -> ConfigError:
    """The error of a tree that is not as expected."""
    return ConfigError(
        f"{description.title}: looked for {looked_for} in {root}, found {found_in(root)}."
        + (f" {also}" if also else ""),
        fix=f"Expected layout: {description.layout} To get it: {description.where}",
    )


def found_in(folder: Path) -> str:
    """The first names in a folder, for a message."""
    if not folder.exists():
        return "no such folder"
    if not folder.is_dir():
        return "a file"
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in folder.iterdir())
    if not names:
        return "nothing"
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


def child(folder: Path, name: str) -> Path | None:
    """The entry of that name, upper and lower case alike; None where there is none."""
    exact = folder / name
    if exact.exists():
        return exact
    if not folder.is_dir():
        return None
    return next((p for p in sorted(folder.iterdir()) if p.name.lower() == name.lower()), None)


def media_in(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Files with one of the suffixes under `folder`, at any depth, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes and p.is_file())


def read_json(description: Description, path: Path) -> Any:
    """A JSON file that the layout promises. Raises ConfigError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise unexpected(description, path.parent, path.name) from None
    except ValueError as error:
        raise ConfigError(f"{description.title}: {path} is not JSON: {error}.") from error


def hashed_split(name: str) -> str:
    """train, val or test (8:1:1) by name alone, the same on every machine.

    >>> hashed_split("somebody") == hashed_split("somebody")
    True
    """
    tenth = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % 10
    return "val" if tenth == 8 else "test" if tenth == 9 else "train"


def not_empty(description: Description, root: Path, listing: Listing, looked_for: str) -> Listing:
    """The listing, or an error where nothing at all was found."""
    if listing.samples:
        return listing
    counts = "; ".join(f"{n} {reason}" for reason, n in listing.counts().items())
    raise unexpected(description, root, looked_for, also=f"Left out: {counts}." if counts else "")


def known(
    description: Description, what: str, asked: Iterable[str], choices: Iterable[str]
) -> None:
    """Raise ConfigError on a name that the data set does not have."""
    choices = list(choices)
    for name in asked:
        if name not in choices:
            raise ConfigError(
                f"{description.title} has no {what} {name!r}.",
                fix=f"Choose from: {', '.join(choices)}.",
            )
