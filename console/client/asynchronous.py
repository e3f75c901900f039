"""The same client for programs that await: requests run in threads of its own, the loop stays free."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from console.client.call import Call, Conversation, Feed, Items, Listing
from console.client.connection import Connection
from console.client.operations import Operations
from console.client.shapes import StreamedEvent

_T = TypeVar("_T")
#: Requests under way at once; more wait.
_AT_ONCE = 64


@dataclass(frozen=True)
class AsyncClient(Operations, Connection):
    """Awaits what Client does: `AsyncClient("http://127.0.0.1:8080", key="unmask_...")`."""

    is_async: bool = field(default=True, init=False, repr=False)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_AT_ONCE, "unmask-client"),
        init=False,
        repr=False,
        compare=False,
    )

    async def one(self, call: Call[_T]) -> _T:
        """Carry out one request."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.ask, call)

    async def talk(self, conversation: Conversation[_T]) -> _T:
        """Carry out several."""
        answer: Any = None
        while True:
            try:
                call = conversation.send(answer)
            except StopIteration as end:
                result: _T = end.value
                return result
            answer = await self.one(call)

    async def each(self, listing: Listing[_T]) -> AsyncIterator[_T]:
        """Carry out as many as it takes; what they give, one by one."""
        answer: Any = None
        while True:
            try:
                step = listing.send(answer)
            except StopIteration:
                return
            answer = None
            if isinstance(step, Items):
                for item in step.items:
                    yield item
            else:
                answer = await self.one(step)

    async def follow(self, feed: Feed) -> AsyncIterator[StreamedEvent]:
        """Events as they come, from a thread of their own, which ends soon after nobody listens."""
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[StreamedEvent | Exception | None] = asyncio.Queue()
        left = threading.Event()

        def tell(what: StreamedEvent | Exception | None) -> None:
            if not left.is_set():
                loop.call_soon_threadsafe(told.put_nowait, what)

        def pump() -> None:
            try:
                for event in self.listen(feed, left.is_set):
                    tell(event)
                tell(None)
            except Exception as error:
                tell(error)

        threading.Thread(target=pump, name="unmask-events", daemon=True).start()
        try:
            while (event := await told.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            left.set()
