"""How urgent jobs are, and in which order what waits is served: live first, and low in the end too."""

from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Literal

#: Each waits in a queue of its own.
Priority = Literal["live", "batch", "low"]

#: Where all three have work, of twelve jobs so many are of each. None starves, whatever the others do.
WEIGHTS: Mapping[Priority, int] = {"live": 8, "batch": 3, "low": 1}


def turns(weights: Mapping[Priority, int] = WEIGHTS) -> tuple[Priority, ...]:
    """Whose turn it is, one after the other: each as often as it weighs, spread as evenly as may be.

    Smooth weighted round robin, as nginx picks its servers.

    >>> "".join(turn[0] for turn in turns({"live": 2, "batch": 1, "low": 1}))
    'lbll'
    """
    owed = dict.fromkeys(weights, 0)
    total, found = sum(weights.values()), []
    for _ in range(total):
        for lane, weight in weights.items():
            owed[lane] += weight
        chosen = max(owed, key=lambda lane: owed[lane])
        owed[chosen] -= total
        found.append(chosen)
    return tuple(found)


def orders() -> Iterator[tuple[Priority, ...]]:
    """For one job after the other, for ever: where to look first, second and last.

    Whoever has the turn comes first; where nothing waits there, the more urgent of the others.
    """
    for first in cycle(turns()):
        yield (first, *(lane for lane in WEIGHTS if lane != first))
