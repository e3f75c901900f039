"""How long one piece of work spent in each of its stages, however they alternate."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from unmask.system import instruments as metrics
from unmask.system import tracing

_T = TypeVar("_T")


class Stopwatch:
    """Adds up seconds by stage; `tell` notes them as `unmask_stage_seconds`, and as spans.

    Stages that alternate are told as one span each: its length is the sum, its end is now.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """The block belongs to `stage`."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] += time.monotonic() - begun

    def waiting(self, stage: str, items: Iterable[_T]) -> Iterator[_T]:
        """The items; the time until each comes belongs to `stage`."""
        found = iter(items)
        while True:
            with self.timed(stage):
                try:
                    item = next(found)
                except StopIteration:
                    return
            yield item

    def tell(self) -> None:
        """Note every stage once."""
        for stage, seconds in self.seconds.items():
            metrics.observe(metrics.STAGE_SECONDS, seconds, stage=stage)
            tracing.past(stage, tracing.current(), seconds)
