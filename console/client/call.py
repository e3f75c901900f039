"""Descriptions of requests: what is sent and how the answer is read. Nothing here does either.

A description is written once, as a function that gives a `Call`, a conversation of several, or a
`Feed`. Client and AsyncClient carry them out; the four classes below make a method of both of it.
"""

import json
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, overload
from urllib.parse import quote, urlencode

from console.client.shapes import StreamedEvent

P = ParamSpec("P")
T = TypeVar("T")

Body = Callable[[], Iterator[bytes]]
_NDJSON = "application/x-ndjson"


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One request."""

    method: str
    path: str
    read: Callable[[bytes], T] = json.loads
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    """Asked for anew each time it is sent."""
    again: bool = False
    """Whether it does no harm when it is sent twice; of GET and DELETE, none does."""
    also: frozenset[int] = frozenset()
    """Statuses of 400 and above that are an answer all the same."""
    waits_s: float = 0.0
    """For so long the server may keep the answer back."""


@dataclass(frozen=True)
class Items(Generic[T]):
    """Some of what an iterator gives."""

    items: Sequence[T]


@dataclass(frozen=True)
class Feed:
    """Events as they happen, from after one that was seen."""

    path: str
    after: int | None


#: Asks, is told the answers, and returns what comes of it.
Conversation = Generator[Call[Any], Any, T]
#: Asks, is told the answers, and gives items in between.
Listing = Generator[Call[Any] | Items[T], Any, None]


class Blocking(Protocol):
    """Carries descriptions out and waits."""

    def one(self, call: Call[T]) -> T: ...
    def talk(self, conversation: Conversation[T]) -> T: ...
    def each(self, listing: Listing[T]) -> Iterator[T]: ...
    def follow(self, feed: Feed) -> Iterator[StreamedEvent]: ...


class Awaiting(Protocol):
    """Carries descriptions out and lets others work meanwhile."""

    is_async: bool

    def one(self, call: Call[T]) -> Awaitable[T]: ...
    def talk(self, conversation: Conversation[T]) -> Awaitable[T]: ...
    def each(self, listing: Listing[T]) -> AsyncIterator[T]: ...
    def follow(self, feed: Feed) -> AsyncIterator[StreamedEvent]: ...


class _Method(Generic[P, T]):
    """A method made of a description; `how` names what of the client carries it out."""

    how = ""

    def __init__(self, describe: Callable[P, Any]) -> None:
        self.describe = describe
        self.__doc__ = describe.__doc__

    def _bound(self, client: Any) -> Any:
        if client is None:
            return self
        carry_out = getattr(client, self.how)

        def method(*given: P.args, **named: P.kwargs) -> Any:
            return carry_out(self.describe(*given, **named))

        return update_wrapper(method, self.describe)


class Asks(_Method[P, T]):
    """One request, one answer."""

    how = "one"

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        super().__init__(describe)

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        return self._bound(client)


class Talks(_Method[P, T]):
    """Several requests, one answer."""

    how = "talk"

    def __init__(self, describe: Callable[P, Conversation[T]]) -> None:
        super().__init__(describe)

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        return self._bound(client)


class Lists(_Method[P, T]):
    """Page after page, an iterator."""

    how = "each"

    def __init__(self, describe: Callable[P, Listing[T]]) -> None:
        super().__init__(describe)

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, Iterator[T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        return self._bound(client)


class Follows(_Method[P, StreamedEvent]):
    """Events as they happen, an iterator."""

    how = "follow"

    def __init__(self, describe: Callable[P, Feed]) -> None:
        super().__init__(describe)

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self, client: Awaiting, owner: type
    ) -> Callable[P, AsyncIterator[StreamedEvent]]: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, Iterator[StreamedEvent]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        return self._bound(client)


def address(template: str, *parts: str, **query: object) -> str:
    """An address from its template: parts in its braces, and what of the query is not None.

    >>> address("/v1/jobs/{job_id}", "a/b", wait=None, decided=True)
    '/v1/jobs/a%2Fb?decided=true'
    """
    filled, rest = "", template
    for part in parts:
        before, _, rest = rest.partition("{")
        filled += before + quote(part, safe="")
        rest = rest.partition("}")[2]
    asked = {name: _text(value) for name, value in query.items() if value is not None}
    return filled + rest + (f"?{urlencode(asked)}" if asked else "")


def as_json(content: object) -> dict[str, Any]:
    """The parts of a Call that sends JSON."""
    return _sent("application/json", json.dumps(content).encode())


def as_lines(lines: Sequence[object]) -> dict[str, Any]:
    """The parts of a Call that sends NDJSON."""
    return _sent(_NDJSON, "".join(json.dumps(line) + "\n" for line in lines).encode())


def read_lines(answer: bytes) -> list[Any]:
    """NDJSON as it came."""
    return [json.loads(line) for line in answer.splitlines() if line.strip()]


def _sent(kind: str, data: bytes) -> dict[str, Any]:
    headers = {"Content-Type": kind, "Content-Length": str(len(data))}
    return {"headers": headers, "body": lambda: iter((data,))}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
