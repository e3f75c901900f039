"""When a job that an outage stopped is tried again: later and later, but soon once it is over.

Of all jobs that wait for one reason, the one that has waited longest is the scout: it is tried
often. Once a scout gets through, the others need not sit out their waits.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from unmask.errors import ReasonCode

_FIRST_S, _LONGEST_S = 5.0, 120.0
#: A scout's longest wait. It bounds how long everybody stands still after an outage.
_SCOUT_S = 15.0


@dataclass
class _Waiter:
    code: ReasonCode
    tries: int
    since: float
    released: bool = False


class WaitingRoom:
    """Keyed by the name of an RQ job; what it holds is lost with the process, and does no harm."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, _Waiter] = {}

    def due(self, name: str, code: ReasonCode, tries: int) -> bool:
        """Whether to try now. `tries`: how many attempts have failed; it sets the wait."""
        now = self._clock()
        known = self._waiting.get(name)
        if known is None or known.tries != tries:
            self._waiting[name] = known = _Waiter(code, tries, now)
        known.code = code
        longest = _SCOUT_S if self._scout(code) == name else _LONGEST_S
        wait_s = min(_FIRST_S * 2 ** min(tries - 1, 16), longest)
        return known.released or now - known.since >= wait_s

    def waits(self, name: str) -> bool:
        """Whether it was stopped and has not got through since."""
        return name in self._waiting

    def through(self, name: str) -> None:
        """It got through: whoever waits for the same reason goes on at once."""
        over = self._waiting.pop(name, None)
        if over is not None:
            for waiter in self._waiting.values():
                waiter.released |= waiter.code is over.code

    def names(self) -> set[str]:
        """Of all that wait."""
        return set(self._waiting)

    def _scout(self, code: ReasonCode) -> str | None:
        """The one that came first: a dict keeps its order when a value is replaced."""
        return next((name for name, each in self._waiting.items() if each.code is code), None)
