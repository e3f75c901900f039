"""Read one web address into a file: bounded, resumed, and never believing what the server says."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO
from urllib.parse import urljoin

import httpcore
import stamina

from ingest.fetching.addresses import ANYWHERE_PUBLIC, Allowance, Resolver, Web, parse
from ingest.fetching.checked_connection import Deadline, pool
from unmask.errors import AddressRefused, FetchFailed, MediaRefused, ReasonCode

#: Bytes so far. Called for every piece.
OnBytes = Callable[[int], None]

_PIECE_WAIT_S = 20.0
_RATE_OVER_S = 20.0
_BUSY = {408, 425, 429, 500, 502, 503, 504}
_MOVED = {301, 302, 303, 307, 308}
_HEADERS = ((b"User-Agent", b"unmask"), (b"Accept", b"*/*"), (b"Accept-Encoding", b"identity"))


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one fetch may cost."""

    max_bytes: int
    max_seconds: float
    max_redirects: int = 5
    min_bytes_per_s: float = 1024.0
    """Over 20 s: a slower server is not waited for."""
    max_bytes_per_s: int | None = None
    """On the whole of a fetch: one large file must not take the line from everybody."""
    attempts: int = 5
    """At most, for what a server does wrong; each goes on where the last one stopped."""
    wait_s: float = 0.5
    """Before the second attempt; twice as long before each further one."""


class Pace:
    """Holds a fetch back to its rate; no longer than it may take."""

    def __init__(self, bounds: Bounds, deadline: Deadline) -> None:
        self._rate = bounds.max_bytes_per_s
        self._deadline = deadline
        self._begun = time.monotonic()
        self._read = 0

    def read(self, size: int) -> None:
        """So many bytes came; returns when more may."""
        self._read += size
        if self._rate is not None:
            ahead_s = self._read / self._rate - (time.monotonic() - self._begun)
            if ahead_s > 0:
                time.sleep(min(ahead_s, self._deadline.left()))


class _Again(Exception):
    """A fault that may pass: a reset, a 503."""


def download(
    address: str,
    into: IO[bytes],
    bounds: Bounds,
    *,
    allowance: Allowance = ANYWHERE_PUBLIC,
    proxy: str | None = None,
    resolver: Resolver | None = None,
    on_bytes: OnBytes | None = None,
) -> int:
    """Fill `into`, which must be empty, and return the number of bytes.

    Raises AddressRefused before any connection is made, MediaRefused (too_large), FetchFailed and
    FetchFailed with fetch_timeout. No message holds more of the address than its path.
    """
    web = parse(address, allowance)
    deadline = Deadline(bounds.max_seconds)
    reading = _Reading(into, bounds, deadline, on_bytes)
    try:
        with pool(allowance, deadline, proxy=proxy, resolver=resolver) as connections:
            for attempt in stamina.retry_context(
                on=_Again,
                attempts=bounds.attempts,
                timeout=bounds.max_seconds,
                wait_initial=bounds.wait_s,
            ):
                with attempt:
                    reading.go_on(connections, web, allowance)
    except _Again as error:
        if deadline.left() <= 0.0:
            raise _slow(web, bounds) from error
        raise FetchFailed(
            f"{web.shown} could not be fetched: {error}.",
            fix="Check that the address still works, then submit again.",
        ) from error
    return reading.size


class _Reading:
    """One body on its way into a file, over as many responses as it takes."""

    def __init__(
        self, into: IO[bytes], bounds: Bounds, deadline: Deadline, on_bytes: OnBytes | None
    ) -> None:
        self.size = 0
        self._into = into
        self._bounds = bounds
        self._deadline = deadline
        self._pace = Pace(bounds, deadline)
        self._on_bytes = on_bytes
        self._version: bytes | None = None
        """What tells two versions of the body apart, where the server says."""

    def go_on(self, connections: httpcore.ConnectionPool, web: Web, allowance: Allowance) -> None:
        """Ask for the rest, following redirects. Raises _Again for what may pass."""
        try:
            for _ in range(self._bounds.max_redirects + 1):
                moved = self._ask(connections, web)
                if moved is None:
                    return
                web = parse(urljoin(f"{web.scheme}://{web.netloc}{web.target}", moved), allowance)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            if self._deadline.left() <= 0.0:
                raise _slow(web, self._bounds) from error
            raise _Again(str(error) or "the connection was lost") from error
        raise AddressRefused(
            f"{web.shown} redirects more than {self._bounds.max_redirects} times.",
            fix="Send the final address.",
        )

    def _ask(self, connections: httpcore.ConnectionPool, web: Web) -> str | None:
        """One request; the address it redirects to, or None when the body is whole."""
        headers = [(b"Host", web.netloc.encode()), *_HEADERS]
        if self.size and self._version:
            headers += [(b"Range", b"bytes=%d-" % self.size), (b"If-Range", self._version)]
        url = httpcore.URL(
            scheme=web.scheme.encode(), host=web.host.encode(), port=web.port, target=web.target
        )
        waits = dict.fromkeys(("connect", "read", "write", "pool"), _PIECE_WAIT_S)
        with connections.stream(
            "GET", url, headers=headers, extensions={"timeout": waits}
        ) as response:
            said = {name.lower(): value for name, value in response.headers}
            if response.status in _MOVED and b"location" in said:
                return said[b"location"].decode("latin-1")
            self._check(response.status, said, web)
            self._version = _version(said)
            self._read(response, web)
        return None

    def _check(self, status: int, said: dict[bytes, bytes], web: Web) -> None:
        if status in _BUSY:
            raise _Again(f"the server answers {status}")
        if status == 206 and self.size:
            start = said.get(b"content-range", b"").removeprefix(b"bytes ").partition(b"-")[0]
            if start.strip() != b"%d" % self.size:
                self._from_the_start()
                raise _Again("the server goes on at another place")
        elif status == 200:
            self._from_the_start()
        else:
            raise FetchFailed(
                f"{web.shown} could not be fetched: the server answers {status}.",
                fix="A signed address may have expired: send a new one."
                if status in (401, 403)
                else "Check the address.",
            )
        length = said.get(b"content-length", b"")
        if length.isdigit() and self.size + int(length) > self._bounds.max_bytes:
            raise self._too_large(web)

    def _from_the_start(self) -> None:
        self._into.seek(0)
        self._into.truncate()
        self.size = 0

    def _read(self, response: httpcore.Response, web: Web) -> None:
        since, before = time.monotonic(), self.size
        for piece in response.iter_stream():
            if self.size + len(piece) > self._bounds.max_bytes:
                raise self._too_large(web)
            self._into.write(piece)
            self.size += len(piece)
            if self._on_bytes is not None:
                self._on_bytes(self.size)
            self._pace.read(len(piece))
            now = time.monotonic()
            if self._deadline.left() <= 0.0:
                raise _slow(web, self._bounds)
            if now - since >= _RATE_OVER_S:
                if self.size - before < self._bounds.min_bytes_per_s * (now - since):
                    raise _slow(web, self._bounds)
                since, before = now, self.size

    def _too_large(self, web: Web) -> MediaRefused:
        return MediaRefused(
            f"{web.shown} has more than {self._bounds.max_bytes} bytes.",
            code=ReasonCode.TOO_LARGE,
            fix="Raise UNMASK_MAX_BYTES, or send a shorter cut.",
        )


def _version(said: dict[bytes, bytes]) -> bytes | None:
    """A strong validator for If-Range: without one, two halves may be of two bodies."""
    tag = said.get(b"etag", b"")
    if tag and not tag.startswith(b"W/"):
        return tag
    return said.get(b"last-modified")


def _slow(web: Web, bounds: Bounds) -> FetchFailed:
    return FetchFailed(
        f"{web.shown} came too slowly: {bounds.max_seconds:.0f} s is the limit, "
        f"{bounds.min_bytes_per_s:.0f} bytes/s the least.",
        code=ReasonCode.FETCH_TIMEOUT,
        fix="Raise UNMASK_FETCH_TIMEOUT_S, or send a smaller file.",
    )
