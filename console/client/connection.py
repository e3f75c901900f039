"""One request after the other, each on its own connection; those that may be sent again, are."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, TypeVar
from urllib.parse import urlsplit

from console.client.call import Call, Feed
from console.client.event_lines import read_events
from console.client.shapes import StreamedEvent
from unmask.errors import ReasonCode, UnmaskError

_T = TypeVar("_T")
_AGAIN = {429, 502, 503, 504}
_WAITS_S = (0.5, 2.0, 5.0)
_LONGEST_WAIT_S = 60.0
_ONE_MOMENT_S = 1.0


class ApiError(UnmaskError):
    """The server refused, or could not be reached; `problem` is its RFC 9457 document, if any."""

    def __init__(self, message: str, *, fix: str = "", problem: dict[str, Any] | None = None):
        super().__init__(message, fix=fix)
        self.problem = problem or {}
        known = {code.value: code for code in ReasonCode}
        self.code = known.get(str(self.problem.get("code")), ReasonCode.INTERNAL)


@dataclass(frozen=True)
class Connection:
    """How requests reach one server. Safe to use from several threads."""

    server: str
    timeout_s: float = 60.0
    key: str | None = field(default=None, repr=False)
    """An API key; None where nobody has to log in."""
    retries: int = 3
    """A request that may be sent twice is, so often, where the server is away or busy."""

    def ask(self, call: Call[_T]) -> _T:
        """What the server answers. Raises ApiError."""
        may_repeat = call.again or call.method in {"GET", "DELETE"}
        for made in range(self.retries + 1):
            last = not may_repeat or made == self.retries
            try:
                answer, found = self._once(call)
            except ApiError:
                if last:
                    raise
                time.sleep(_pause(made))
                continue
            if answer.status < 400 or answer.status in call.also:
                return self._understood(call, found)
            if last or answer.status not in _AGAIN:
                raise self._refusal(answer, found)
            told = answer.headers.get("Retry-After", "")
            time.sleep(min(float(told), _LONGEST_WAIT_S) if told.isdigit() else _pause(made))
        raise AssertionError("unreachable")

    def listen(
        self, feed: Feed, is_over: Callable[[], bool] = lambda: False
    ) -> Iterator[StreamedEvent]:
        """Events as they come. A connection that is lost is made again, and none is missed.

        `is_over` is asked at each sign of life, every 15 s at the latest.
        """
        after, failures = feed.after, 0
        while not is_over():
            try:
                with closing(self._heard(feed.path, after, is_over)) as heard:
                    for event in heard:
                        failures = 0
                        after = event["id"] if event["id"] is not None else after
                        yield event
                        if event["type"] == "end":
                            return
            except _Lost as lost:
                failures += 1
                if failures > self.retries:
                    raise self.away(lost) from lost
                time.sleep(_pause(failures - 1))
            else:
                time.sleep(
                    _ONE_MOMENT_S
                )  # the server ended it: it is restarted, or the job is gone

    def _heard(
        self, path: str, after: int | None, is_over: Callable[[], bool]
    ) -> Generator[StreamedEvent, None, None]:
        headers = {"Accept": "text/event-stream", **self._login()}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        connection, prefix = self._open()
        with closing(connection):
            try:
                connection.request("GET", prefix + path, headers=headers)
                answer = connection.getresponse()
                if answer.status in _AGAIN:
                    raise _Lost(f"it answered {answer.status}")
                if answer.status >= 400:
                    raise self._refusal(answer, answer.read())
                yield from read_events(takewhile(lambda _: not is_over(), answer))
            except (OSError, http.client.HTTPException) as error:
                raise _Lost(str(error)) from error

    def _once(self, call: Call[Any]) -> tuple[http.client.HTTPResponse, bytes]:
        connection, prefix = self._open(self.timeout_s + call.waits_s)
        try:
            connection.request(
                call.method,
                prefix + call.path,
                body=None if call.body is None else call.body(),
                headers={**self._login(), **call.headers},
            )
            answer = connection.getresponse()
            return answer, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self.away(error) from error
        finally:
            connection.close()

    def _open(self, timeout_s: float | None = None) -> tuple[http.client.HTTPConnection, str]:
        """A connection, and what every path begins with."""
        parts = urlsplit(self.server)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise ApiError(f"{self.server!r} is no address.", fix="Give http://HOST:PORT.")
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        made = kinds[parts.scheme](parts.hostname, port, timeout=timeout_s or self.timeout_s)
        return made, parts.path.rstrip("/")

    def _login(self) -> dict[str, str]:
        """The header that says who is asking."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    def away(self, error: Exception) -> ApiError:
        """What to raise where nobody answers."""
        cause = "it did not answer in time" if isinstance(error, socket.timeout) else error
        return ApiError(
            f"no answer from {self.server} ({cause}).",
            fix="Start it with `unmask serve`, or name it with --server or UNMASK_SERVER.",
        )

    def _understood(self, call: Call[_T], content: bytes) -> _T:
        try:
            return call.read(content)
        except (ValueError, KeyError, TypeError) as error:
            raise self._no_unmask("with what no Unmask server answers") from error

    def _refusal(self, answer: http.client.HTTPResponse, content: bytes) -> ApiError:
        kind = answer.headers.get("Content-Type", "")
        try:
            problem = json.loads(content) if kind.startswith("application/problem+json") else None
            if problem is not None:
                return ApiError(problem["detail"], fix=problem.get("fix", ""), problem=problem)
        except (ValueError, KeyError, TypeError):
            pass
        return self._no_unmask(str(answer.status))

    def _no_unmask(self, what: str) -> ApiError:
        return ApiError(
            f"{self.server} answered {what}.", fix="Is that address an Unmask server's?"
        )


class _Lost(Exception):
    """The connection of an event stream."""


def _pause(made: int) -> float:
    return _WAITS_S[min(made, len(_WAITS_S) - 1)]
