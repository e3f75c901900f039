"""Sampled frames on their way to the face finder: few, and with a rule for when they are too many."""

import threading
from collections import deque
from collections.abc import Callable

from ingest.live.drop_policy import DropPolicy
from ingest.live.frames import LiveFrame

#: ADAPTIVE thins out to this much of the wanted rate at most, and thickens again when there is room.
_THINNEST = 8.0


class FrameBuffer:
    """At most `size` frames. One thread puts, one takes.

    `on_drop(frame, reason)` is told of each frame that is let go. `on_pace(factor)`: with ADAPTIVE,
    how many times longer the pause between samples should be.
    """

    def __init__(
        self,
        size: int,
        policy: DropPolicy,
        *,
        on_drop: Callable[[LiveFrame, str], None],
        on_pace: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._size = size
        self._policy = policy
        self._on_drop = on_drop
        self._on_pace = on_pace
        self._frames: deque[LiveFrame] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._factor = 1.0
        self._easy = 0

    def put(self, frame: LiveFrame) -> None:
        """Add a frame, or apply the policy. WAIT blocks; after `close` everything is let go."""
        dropped: LiveFrame | None = None
        with self._changed:
            if self._policy is DropPolicy.WAIT:
                self._changed.wait_for(lambda: len(self._frames) < self._size or self._closed)
            if self._closed:
                dropped = frame
            elif len(self._frames) < self._size:
                self._frames.append(frame)
            elif self._policy is DropPolicy.DROP_NEWEST:
                dropped = frame
            else:
                dropped = self._frames.popleft()
                self._frames.append(frame)
            self._changed.notify_all()
        if dropped is not None:
            self._on_drop(dropped, "stopped" if self._closed else "too_slow")
        if self._policy is DropPolicy.ADAPTIVE:
            self._adapt(full=dropped is not None)

    def take(self, timeout_s: float) -> LiveFrame | None:
        """The next frame; None where there is none in time, or ever again."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._frames) or self._closed, timeout_s)
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """No more frames; those that wait can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._frames)

    def _adapt(self, *, full: bool) -> None:
        if full:
            self._easy = 0
            factor = min(_THINNEST, self._factor * 1.5)
        else:
            self._easy = self._easy + 1 if len(self._frames) <= 1 else 0
            if self._easy < 20:
                return
            self._easy = 0
            factor = max(1.0, self._factor / 1.5)
        if factor != self._factor:
            self._factor = factor
            self._on_pace(factor)
