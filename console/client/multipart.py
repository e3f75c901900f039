"""A form around a file, sent as it is read."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

_CHUNK = 1 << 20


def form(filename: str, fields: Mapping[str, str], boundary: str) -> tuple[bytes, bytes]:
    """What goes before and after the file's bytes."""
    name = os.fsencode(filename).decode("utf-8", "replace")
    for character, code in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        name = name.replace(character, code)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()


def streamed(head: bytes, path: Path, tail: bytes) -> Iterator[bytes]:
    """A form around a file, read from disk as it is sent."""
    yield head
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
    yield tail
