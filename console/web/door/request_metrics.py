"""Counts requests by route, never by address: an id in a label would be a new series each."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unmask.system import instruments as metrics

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Middleware. What no route matched is counted as one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and note the status when the answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()
        method = scope["method"] if scope["method"] in _METHODS else "other"

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                status = str(message["status"])
                metrics.count(metrics.HTTP_REQUESTS, method=method, route=route, status=status)
                seconds = time.monotonic() - begun
                metrics.observe(metrics.HTTP_SECONDS, seconds, method=method, route=route)
            await send(message)

        await self._app(scope, receive, noting)
