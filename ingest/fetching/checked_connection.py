"""Connections that go nowhere but to a checked number, and end at a deadline. For any HTTP client.

`pool(allowance)` is an httpcore pool: fetching reads media with it, webhooks post with it. TLS is
checked against the name, the socket is opened to the number; a name is never resolved twice.
Redirects are not followed here: each is an address of its own, to be parsed and checked anew.
"""

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore

from ingest.fetching.addresses import Allowance, Resolver, Web, answers, within
from unmask.errors import ConfigError

_CONNECT_S = 10.0
_MAX_PROXY_HEAD = 8192


class Deadline:
    """A point in time that no wait goes past."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds to go, at least 0."""
        return max(0.0, self._end - time.monotonic())

    def within(self, timeout: float | None) -> float:
        """`timeout` cut to what is left. Raises httpcore.ReadTimeout where nothing is."""
        left = self.left()
        if left <= 0.0:
            raise httpcore.ReadTimeout("the time for this request is up")
        return left if timeout is None else min(timeout, left)


def pool(
    allowance: Allowance,
    deadline: Deadline,
    *,
    proxy: str | None = None,
    resolver: Resolver | None = None,
    tls: ssl.SSLContext | None = None,
) -> httpcore.ConnectionPool:
    """A pool whose every connection is checked; close it after use.

    `proxy`: `host:port` of a proxy that is asked to CONNECT to the checked number. Requests raise
    AddressRefused, and httpcore's own errors.
    """
    return httpcore.ConnectionPool(
        ssl_context=tls or ssl.create_default_context(),
        network_backend=_Checked(allowance, deadline, proxy, resolver),
        http2=False,
        retries=0,
    )


class _Checked(httpcore.NetworkBackend):
    """Opens sockets to checked numbers only."""

    def __init__(
        self,
        allowance: Allowance,
        deadline: Deadline,
        proxy: str | None,
        resolver: Resolver | None,
    ) -> None:
        self._allowance = allowance
        self._deadline = deadline
        self._proxy = _proxy(proxy) if proxy else None
        self._resolver = resolver
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        web = Web(scheme="https", host=host, port=port, target="/")
        try:
            patience = self._deadline.within(min(timeout or _CONNECT_S, _CONNECT_S))
            numbers = answers(web, self._allowance, within(patience, self._resolver))
        except TimeoutError:
            raise httpcore.ConnectTimeout("the name was not resolved in time") from None
        except OSError:
            raise httpcore.ConnectError("the name has no address") from None
        error: Exception = httpcore.ConnectError("no number answered")
        for number in numbers:
            wait = self._deadline.within(min(timeout or _CONNECT_S, _CONNECT_S))
            try:
                return _Timed(self._open(number, port, wait), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise httpcore.UnsupportedProtocol("no sockets of this machine")

    def _open(self, number: str, port: int, wait: float) -> httpcore.NetworkStream:
        if self._proxy is None:
            return self._plain.connect_tcp(number, port, timeout=wait)
        stream = self._plain.connect_tcp(*self._proxy, timeout=wait)
        try:
            _tunnel(stream, f"[{number}]" if ":" in number else number, port, wait)
        except BaseException:
            stream.close()
            raise
        return stream


class _Timed(httpcore.NetworkStream):
    """A stream whose single waits also end at the deadline: a byte a second outlasts no limit."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.within(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(
            ssl_context, server_hostname, self._deadline.within(timeout)
        )
        return _Timed(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _tunnel(stream: httpcore.NetworkStream, number: str, port: int, wait: float) -> None:
    """Have the proxy connect to the number. Raises httpcore.ConnectError where it will not."""
    place = f"{number}:{port}"
    stream.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode(), wait)
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MAX_PROXY_HEAD:
        data = stream.read(1, wait)  # not one byte of what the origin says
        if not data:
            break
        head += data
    status = head.split(b" ", 2)[1:2]
    if status != [b"200"]:
        raise httpcore.ConnectError("the proxy refused the connection")


def _proxy(text: str) -> tuple[str, int]:
    host, _, port = text.removeprefix("http://").rstrip("/").rpartition(":")
    if not host or not port.isdigit() or "@" in host or "/" in host:
        raise ConfigError("UNMASK_FETCH_PROXY is no proxy's address.", fix="Write it as host:port.")
    return host.strip("[]"), int(port)
