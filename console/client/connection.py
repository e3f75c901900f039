"""One request after the other, each on its own connection; those that may be sent again, are."""

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from unmask.errors import ReasonCode, UnmaskError

_CHUNK = 1 << 20
_AGAIN = {429, 502, 503, 504}
_WAITS_S = (0.5, 2.0, 5.0)
_LONGEST_WAIT_S = 60.0

Body = Callable[[], Iterator[bytes]]


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

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        content: Any = None,
    ) -> bytes:
        """The answer's bytes. `content` is sent as JSON, `body` as it is. Raises ApiError."""
        sent = dict(headers or {})
        if content is not None:
            data = json.dumps(content).encode()
            sent |= {"Content-Type": "application/json", "Content-Length": str(len(data))}

            def body() -> Iterator[bytes]:
                return iter((data,))

        may_repeat = method in {"GET", "DELETE"} or "Idempotency-Key" in sent
        for made in range(self.retries + 1):
            last = not may_repeat or made == self.retries
            try:
                answer, found = self._once(method, path, sent, body)
            except ApiError:
                if last:
                    raise
                time.sleep(_WAITS_S[min(made, len(_WAITS_S) - 1)])
                continue
            if answer.status < 400:
                return found
            if last or answer.status not in _AGAIN:
                raise self._refusal(answer.status, found)
            told = answer.headers.get("Retry-After", "")
            wait_s = float(told) if told.isdigit() else _WAITS_S[min(made, len(_WAITS_S) - 1)]
            time.sleep(min(wait_s, _LONGEST_WAIT_S))
        raise AssertionError("unreachable")

    def _once(
        self, method: str, path: str, headers: Mapping[str, str], body: Body | None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        with_connection, prefix = self.open()
        try:
            with_connection.request(
                method,
                prefix + path,
                body=None if body is None else body(),
                headers={**self.login(), **headers},
            )
            answer = with_connection.getresponse()
            return answer, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self.away(error) from error
        finally:
            with_connection.close()

    def open(self) -> tuple[http.client.HTTPConnection, str]:
        """A connection, and what every path begins with."""
        parts = urlsplit(self.server)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ApiError(f"{self.server!r} is no address.", fix="Give http://HOST:PORT.")
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        made = kinds[parts.scheme](parts.hostname, parts.port, timeout=self.timeout_s)
        return made, parts.path.rstrip("/")

    def login(self) -> dict[str, str]:
        """The header that says who is asking."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    def away(self, error: Exception) -> ApiError:
        """What to raise where nobody answers."""
        return ApiError(
            f"no answer from {self.server} ({error}).",
            fix="Start it with `unmask serve`, or name it with --server or UNMASK_SERVER.",
        )

    def _refusal(self, status: int, content: bytes) -> ApiError:
        try:
            problem = json.loads(content)
            return ApiError(problem["detail"], fix=problem.get("fix", ""), problem=problem)
        except (ValueError, KeyError, TypeError):
            return ApiError(
                f"{self.server} answered {status}.", fix="Is that address an Unmask server?"
            )


def form(filename: str, fields: Mapping[str, str], boundary: str) -> tuple[bytes, bytes]:
    """What goes before and after the file's bytes."""
    name = os.fsencode(filename).decode("utf-8", "replace")
    for character, code in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        name = name.replace(character, code)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()


def stream(head: bytes, path: Path, tail: bytes) -> Iterator[bytes]:
    """A form around a file, read from disk as it is sent."""
    yield head
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
    yield tail
