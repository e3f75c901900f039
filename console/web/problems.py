"""Errors of the API as RFC 9457 problem documents: a code for programs, a fix for people."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from console.show.report import environment
from unmask.errors import BrokerError, ReasonCode, UnmaskError
from unmask.frozen import Frozen

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

_STATUS = {
    ReasonCode.NOT_FOUND: 404,
    ReasonCode.NOT_A_FILE: 422,
    ReasonCode.NOT_READABLE: 403,
    ReasonCode.TOO_LARGE: 413,
    ReasonCode.UNSUPPORTED_MEDIA: 415,
    ReasonCode.IS_AN_IMAGE: 415,
    ReasonCode.NO_VIDEO_STREAM: 415,
    ReasonCode.EMPTY_FILE: 415,
    ReasonCode.ADDRESS_REFUSED: 422,
    ReasonCode.IDEMPOTENCY_CONFLICT: 409,
    ReasonCode.CONFIG_INVALID: 422,
    ReasonCode.PLUGIN_BROKEN: 422,
    ReasonCode.BUNDLE_REFUSED: 422,
    ReasonCode.NO_WEIGHTS: 422,
    ReasonCode.BROKER_UNAVAILABLE: 503,
    ReasonCode.STORE_UNAVAILABLE: 503,
    ReasonCode.DISK_FULL: 507,
    ReasonCode.OUT_OF_MEMORY: 503,
    ReasonCode.OUT_OF_RESOURCES: 503,
    ReasonCode.PERMISSION_DENIED: 503,
    ReasonCode.NETWORK_UNAVAILABLE: 503,
    ReasonCode.DEVICE_UNAVAILABLE: 503,
}

#: Where these lie is no caller's business.
_INSIDE = {ReasonCode.STORE_UNAVAILABLE: "The database", ReasonCode.BROKER_UNAVAILABLE: "Redis"}
_LATER = "Try again in a moment."
#: Where a problem is a document whatever the Accept header says.
_FOR_PROGRAMS = ("/v1/", "/health/", "/openapi.json", "/metrics")


class Refusal(Exception):
    """An answer of the API's own, raised where the request is looked at."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        fix: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.fix = status, code, detail, fix
        self.headers = dict(headers or {})


class Problem(Frozen):
    """An RFC 9457 problem document."""

    type: str
    """urn:unmask:problem:CODE."""
    title: str
    status: int
    detail: str
    code: str
    """A reason code, or one of the API's own: verdict_not_ready, bad_request, forbidden ..."""
    fix: str = ""
    instance: str = ""


def problem(
    request: Request,
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    fix: str = "",
    **extra: Any,
) -> Response:
    """A problem response; `extra` members are added as they are. A person's browser gets a page."""
    headers = {"Vary": "Accept"}
    if _reads_pages(request):
        page = environment().get_template("problem.html")
        root = request.scope.get("root_path", "")
        shown = {"title": title, "detail": detail, "fix": fix, "root": root}
        text = page.render(**shown, actor=None, refresh=False)
        return HTMLResponse(text, status_code=status, headers=headers)
    body = Problem(
        type=f"urn:unmask:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        fix=fix,
        instance=request.url.path,
    ).model_dump()
    return JSONResponse({**body, **extra}, status, headers, MEDIA_TYPE)


def _reads_pages(request: Request) -> bool:
    """Whether a browser goes to this address to show what comes; scripts and clients do not."""
    accepts = request.headers.get("accept", "")
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    return accepts.startswith("text/html") and not path.startswith(_FOR_PROGRAMS)


def install(app: FastAPI) -> None:
    """Answer every error of this application with a problem document."""
    app.add_exception_handler(UnmaskError, _ours)
    app.add_exception_handler(RedisError, _redis_away)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, UnmaskError)  # noqa: S101 - registered for this type alone
    status = _STATUS.get(error.code, 500)
    detail, fix = error.message, error.fix
    if status >= 500:
        log.error("api.failed", code=error.code.value, error=error.message)
    if error.code in _INSIDE:
        detail, fix = f"{_INSIDE[error.code]} does not answer; the server's log says more.", _LATER
    return problem(
        request,
        status=status,
        code=error.code.value,
        title=error.code.value.replace("_", " ").capitalize(),
        detail=detail,
        fix=fix,
    )


async def _redis_away(request: Request, error: Exception) -> Response:
    return await _ours(request, BrokerError(str(error)))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for this type alone
    answer = problem(
        request,
        status=error.status,
        code=error.code,
        title=error.code.replace("_", " ").capitalize(),
        detail=error.detail,
        fix=error.fix,
    )
    answer.headers.update(error.headers)
    return answer


async def _gone(request: Request, error: Exception) -> Response:
    """Nobody reads this: the client left in the middle of its body."""
    log.info("client.left", path=request.url.path)
    return Response(status_code=400)


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type alone
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return problem(
        request,
        status=422,
        code="bad_request",
        title="Bad request",
        detail=f"{where}: {first['msg']}.",
        fix="See /openapi.json for what this address takes.",
    )


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type alone
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    return problem(
        request,
        status=error.status_code,
        code=code,
        title=str(error.detail),
        detail=f"{request.method} {request.url.path}: {error.detail}.",
        fix="See /openapi.json for the addresses there are.",
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("api.unexpected", path=request.url.path, exc_info=error)
    return problem(
        request,
        status=500,
        code=ReasonCode.INTERNAL.value,
        title="Internal error",
        detail="Something went wrong on our side; the server's log has the details.",
        fix="Try again; report it if it stays.",
    )
