"""A file as a player asks for it: in ranges, or its head alone."""

from os import stat_result
from pathlib import Path

from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from console.web.door.guard import WAS_HEAD


class SentFile(FileResponse):
    """Starlette's answer in ranges (206, 416, If-Range). Nothing of it stays in a cache on disk."""

    def __init__(self, path: Path, status: stat_result, content_type: str, name: str) -> None:
        super().__init__(
            path,
            media_type=content_type,
            stat_result=status,
            filename=name,
            content_disposition_type="inline",
            headers={"Cache-Control": "private, no-store"},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HEAD came in as GET (guard.py); four gigabytes need not be read to answer it."""
        as_head = {**scope, "method": "HEAD"} if scope.get(WAS_HEAD) else scope
        await super().__call__(as_head, receive, send)
