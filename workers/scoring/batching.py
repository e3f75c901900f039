"""When to score: a full batch at once, a part-filled one when its oldest crop has waited enough.

Pure: the caller tells the time. Crops of several videos share a batch, in the order they came.
"""

from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Batcher(Generic[T]):
    """A queue that gives out batches of at most `size`, none kept longer than `delay_ms`."""

    def __init__(self, size: int, delay_ms: float) -> None:
        if size < 1 or delay_ms < 0:
            raise ValueError("size must be at least 1 and delay_ms at least 0")
        self.size = size
        self.delay_ms = delay_ms
        self._waiting: deque[tuple[T, float]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def room(self) -> int:
        """How many more fill a batch; 0 where one is full."""
        return max(0, self.size - len(self._waiting))

    def add(self, items: Iterable[T], now_ms: float) -> None:
        """Let `items` wait, from now on."""
        self._waiting.extend((item, now_ms) for item in items)

    def due_in_ms(self, now_ms: float) -> float | None:
        """Milliseconds until a batch is due: 0 now, None while nothing waits."""
        if not self._waiting:
            return None
        if len(self._waiting) >= self.size:
            return 0.0
        return max(0.0, self._waiting[0][1] + self.delay_ms - now_ms)

    def take(self, now_ms: float) -> list[T]:
        """The batch that is due, or an empty list."""
        return self.drain() if self.due_in_ms(now_ms) == 0.0 else []

    def drain(self) -> list[T]:
        """The oldest, up to a batch, due or not."""
        count = min(self.size, len(self._waiting))
        return [self._waiting.popleft()[0] for _ in range(count)]
