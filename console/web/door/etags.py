"""ETags: a client that has a thing already is told so, and not sent it again."""

import hashlib

from fastapi import Request, Response


def tag_of(content: str) -> str:
    """The tag of a text: the same text, the same tag."""
    return f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'


def has(request: Request, tag: str) -> bool:
    """Whether If-None-Match names this tag."""
    sent = request.headers.get("if-none-match", "")
    known = {part.strip().removeprefix("W/") for part in sent.split(",")}
    return tag in known or sent.strip() == "*"


def not_modified(tag: str, cache: str) -> Response:
    """304, with what a cache needs."""
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": cache})
