"""Bounds on what a client sends: no body over its limit is read, none may stand still for ever."""

import asyncio
from typing import Any

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.web.intake.bodies import MAX_TEXT_BYTES
from console.web.problems import problem
from unmask.settings import Settings

log = structlog.get_logger(__name__)

#: Headers, boundaries and short fields around the file of an upload.
FORM_OVERHEAD = 256 << 10
_MAX_BULK_BYTES = 4 << 20


class BoundBodies:
    """Answers 413 before a body that is too long is read, and 408 where one stands still.

    Whatever the application makes of the cut-off body is dropped: this answer takes its place.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        limit = self._limit(request)
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await _too_large(request, limit)(scope, receive, send)
            return
        body = _Body(request, receive, send, limit, self._settings.body_timeout_s)
        try:
            await self._app(scope, body.receive, body.send)
        except _CutOff:
            pass
        finally:
            await body.refuse_if_cut_off(scope)

    def _limit(self, request: Request) -> int:
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            return self._settings.max_bytes + FORM_OVERHEAD
        return _MAX_BULK_BYTES if "/v1/bulk/" in request.url.path else MAX_TEXT_BYTES


class _CutOff(Exception):
    """The body is not read any further."""


class _Body:
    """One request's body on its way to the application, and the answer on its way back."""

    def __init__(
        self, request: Request, receive: Receive, send: Send, limit: int, timeout_s: float
    ) -> None:
        self._request = request
        self._receive = receive
        self._send = send
        self._limit = limit
        self._timeout_s = timeout_s
        self._seen = 0
        self._whole = False
        self._answering = False
        self._refusal: Any = None

    async def receive(self) -> Message:
        if self._refusal is not None:
            raise _CutOff
        if self._whole:
            return await self._receive()  # only the news that the client has gone
        try:
            message = await asyncio.wait_for(self._receive(), self._timeout_s)
        except TimeoutError:
            self._refusal = _too_slow(self._request, self._timeout_s)
            raise _CutOff from None
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._seen > self._limit:
                self._refusal = _too_large(self._request, self._limit)
                raise _CutOff
        return message

    async def send(self, message: Message) -> None:
        if self._refusal is not None and not self._answering:
            return  # what the application says of a body that it did not get
        self._answering = True
        await self._send(message)

    async def refuse_if_cut_off(self, scope: Scope) -> None:
        if self._refusal is not None and not self._answering:
            log.info("body.refused", status=self._refusal.status_code, read_bytes=self._seen)
            self._answering = True
            await self._refusal(scope, self._receive, self._send)


def _too_large(request: Request, limit: int) -> Any:
    answer = problem(
        request,
        status=413,
        code="too_large",
        title="Too large",
        detail=f"the body is over {limit} bytes.",
        fix="Send less; a video goes as multipart/form-data, in the field `file`.",
    )
    answer.headers["Connection"] = "close"
    return answer


def _too_slow(request: Request, timeout_s: float) -> Any:
    answer = problem(
        request,
        status=408,
        code="timeout",
        title="Timeout",
        detail=f"nothing of the body came for {timeout_s:g} s.",
        fix="Send it again, without pauses.",
    )
    answer.headers["Connection"] = "close"
    return answer
