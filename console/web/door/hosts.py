"""Which names this server answers to."""

from collections.abc import Sequence
from ipaddress import ip_address

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from console.web.problems import problem


class CheckHost:
    """Refuse a request whose Host header names another server: a page elsewhere may have had its
    own name point here, and would read what it is given. No page can do that with a number."""

    def __init__(self, app: ASGIApp, *, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "*" in self._allowed:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        name = host_name(request.headers.get("host", ""))
        if name in self._allowed or is_number(name):
            await self._app(scope, receive, send)
            return
        refused = problem(
            request,
            status=400,
            code="unknown_host",
            title="Unknown host",
            detail=f"this server is not called {name[:100]!r}.",
            fix="Start it with --allowed-host NAME for each name that a proxy or browser uses.",
        )
        await refused(scope, receive, send)


def is_number(name: str) -> bool:
    """Whether a host is an IP address.

    >>> is_number("10.0.0.7"), is_number("::1"), is_number("10.0.0.7.example.com")
    (True, True, False)
    """
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def host_name(header: str) -> str:
    """The name in a Host header, without its port.

    >>> host_name("Example.com:8080"), host_name("[::1]:80"), host_name("")
    ('example.com', '::1', '')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()
