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


_CHECKED_EACH_TIME = "private, no-cache"


def tagged_json(request: Request, content: str) -> Response:
    """JSON with its tag, or 304 where the client has it."""
    tag = tag_of(content)
    if has(request, tag):
        return not_modified(tag, _CHECKED_EACH_TIME)
    headers = {"ETag": tag, "Cache-Control": _CHECKED_EACH_TIME}
    return Response(content, media_type="application/json", headers=headers)
