"""Connections under control: heads that never end, too many from one address, too many at all."""

import asyncio
import resource
from collections import Counter
from collections.abc import Collection
from typing import Any

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from unmask.settings import Settings

log = structlog.get_logger(__name__)

#: Descriptors that the process needs for other things: database, Redis, files being written.
_RESERVED = 100
_LEAST = 16


class Connections:
    """All open connections of one server."""

    def __init__(self, settings: Settings, *, most: int | None = None) -> None:
        self.header_timeout_s = settings.header_timeout_s
        self.per_address = settings.connections_per_address
        self.trusted: Collection[str] = frozenset(settings.trusted_proxies)
        self.most = most if most is not None else _room()
        self._by_address: Counter[str] = Counter()
        self._idle: dict[Any, None] = {}  # in the order in which they fell idle
        self._open = 0
        self._refused = 0

    def admit(self, connection: Any, address: str) -> bool:
        """Count a new connection; False where there is no room for it. It counts all the same."""
        self._by_address[address] += 1
        self._open += 1
        crowded = self._by_address[address] > self.per_address and address not in self.trusted
        if crowded or (self._open > self.most and not self._close_an_idle_one()):
            self._refused += 1
            if (
                self._refused & (self._refused - 1) == 0
            ):  # the 1st, 2nd, 4th, 8th ...: never a flood
                log.warning("connection.refused", address=address, refused=self._refused)
            return False
        self._idle[connection] = None
        return True

    def is_idle(self, connection: Any, idle: bool) -> None:
        """Note whether it waits for a request; the one that has waited longest goes first."""
        self._idle.pop(connection, None)
        if idle:
            self._idle[connection] = None

    def closed(self, connection: Any, address: str) -> None:
        """It is closed."""
        self._idle.pop(connection, None)
        self._open -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def _close_an_idle_one(self) -> bool:
        oldest = next(iter(self._idle), None)
        if oldest is None:
            return False
        del self._idle[oldest]
        oldest.transport.abort()
        return True


def _room() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 20
    return max(_LEAST, soft - _RESERVED)


def protocol(connections: Connections) -> type[H11Protocol]:
    """Uvicorn's own protocol, which waits for ever, with these bounds."""

    class Guarded(H11Protocol):
        _address = ""
        _late: asyncio.TimerHandle | None = None
        _admitted = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            peer = transport.get_extra_info("peername")
            self._address = peer[0] if isinstance(peer, tuple) else "local"
            self._admitted = connections.admit(self, self._address)
            if not self._admitted:
                transport.abort()
                return
            self._expect_head()

        def data_received(self, data: bytes) -> None:
            if not self._admitted:
                return
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                connections.is_idle(self, False)
                self._stop_waiting()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.cycle is None or self.cycle.response_complete:
                connections.is_idle(self, True)
                self._expect_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            connections.closed(self, self._address)
            super().connection_lost(exc)

        def _expect_head(self) -> None:
            self._stop_waiting()
            self._late = self.loop.call_later(connections.header_timeout_s, self.transport.abort)

        def _stop_waiting(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Guarded
