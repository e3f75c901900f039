"""Sessions of people, in a cookie that is signed; its secret is made once and kept in the data folder."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from starlette.middleware.sessions import SessionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from unmask.settings import Settings

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


class Sessions:
    """Reads and writes the cookie; over https, browsers are told to send it over nothing else."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        secret = session_secret(settings.data_dir)
        self._plain, self._secure = (
            SessionMiddleware(
                app,
                secret_key=secret,
                session_cookie="unmask_session",
                max_age=int(settings.session_hours * 3600),
                path=settings.root_path or "/",
                # Lax: the identity provider sends the browser back with a link.
                same_site="lax",
                https_only=https_only,
            )
            for https_only in (False, True)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; the scheme is the browser's own where a trusted proxy names it."""
        over_tls = scope.get("scheme") == "https"
        await (self._secure if over_tls else self._plain)(scope, receive, send)
