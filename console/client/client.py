"""The client of the API, on the standard library and pydantic alone.

client = Client("http://127.0.0.1:8080", key="unmask_...")
job = client.submit(Path("clip.mp4"), external_id="post-17")
verdict = client.wait(job["id"])
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from console.client.call import Call, Conversation, Feed, Items, Listing
from console.client.connection import Connection
from console.client.operations import Operations
from console.client.shapes import StreamedEvent

_T = TypeVar("_T")


@dataclass(frozen=True)
class Client(Operations, Connection):
    """Talks to one server. Safe to use from several threads: every call has its own connection."""

    def one(self, call: Call[_T]) -> _T:
        """Carry out one request."""
        return self.ask(call)

    def talk(self, conversation: Conversation[_T]) -> _T:
        """Carry out several."""
        answer: Any = None
        while True:
            try:
                call = conversation.send(answer)
            except StopIteration as end:
                result: _T = end.value
                return result
            answer = self.ask(call)

    def each(self, listing: Listing[_T]) -> Iterator[_T]:
        """Carry out as many as it takes; what they give, one by one."""
        answer: Any = None
        while True:
            try:
                step = listing.send(answer)
            except StopIteration:
                return
            answer = None
            if isinstance(step, Items):
                yield from step.items
            else:
                answer = self.ask(step)

    def follow(self, feed: Feed) -> Iterator[StreamedEvent]:
        """Events as they come."""
        return self.listen(feed)
