"""The secret that signs session cookies: made once, kept in the data folder, read by its owner."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

_NAME = "session-secret"


def session_secret(data_dir: Path) -> str:
    """The secret of this installation. Raises OSError where the folder cannot be written to."""
    path = data_dir / _NAME
    data_dir.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        # Whole or not at all: two servers started together must end with one secret.
        draft = path.with_name(f"{_NAME}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii")
