"""The hash by which a file is known: a video, a bundle's weights, the parts of an engine."""

import hashlib
from io import BufferedReader
from pathlib import Path


def file_sha256(path: Path) -> str:
    """64 hex digits over the whole file, read in pieces. Raises OSError."""
    with path.open("rb") as file:
        return rest_sha256(file)


def rest_sha256(file: BufferedReader) -> str:
    """The same of what is left to read of an open file: nobody can exchange it in between."""
    return hashlib.file_digest(file, "sha256").hexdigest()
