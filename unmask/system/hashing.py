"""The hash by which a file is known: of a video, a bundle's weights, an engine's parts."""

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """64 hex digits over the whole file, read in pieces. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
