"""Refuse what another site's page makes a browser send; add the security headers; answer HEAD."""

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.web.problems import problem

_CSP = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers hide the origin of the page's own form ("Origin: null").
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: In the scope of a HEAD request, for what would otherwise stream for ever.
WAS_HEAD = "unmask.was_head"


class Guard:
    """Around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        is_head = request.method == "HEAD"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        if request.method not in {"GET", "HEAD", "OPTIONS"} and is_foreign(request):
            refused = problem(
                request,
                status=403,
                code="forbidden",
                title="Forbidden",
                detail="This request comes from another site's page.",
                fix="Use this server's own page, or a client that is not a browser.",
            )
            await refused(scope, receive, answer)
            return
        # Every address that answers GET answers HEAD, with the same head and no body.
        as_get = {**scope, "method": "GET", WAS_HEAD: True}
        await self._app(as_get if is_head else scope, receive, answer)


def is_foreign(request: Request) -> bool:
    """Whether a browser says so. Sec-Fetch-Site decides where it is sent: no page can forge it, and
    it holds behind a proxy that renames the host; older browsers send the origin alone."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")
