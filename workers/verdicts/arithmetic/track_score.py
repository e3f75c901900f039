"""From the frame scores of one face track to one score: named, versioned methods. Pure.

The confident method is that of the DFDC challenge's winner (Seferbekov, 2020).
All are indifferent to the order of the frames.
"""

import math
from collections.abc import Callable, Sequence

from unmask.errors import ConfigError
from unmask.verdict import Named

Method = Callable[[Sequence[float]], float]


def mean_top20(scores: Sequence[float]) -> float:
    """0.5 * mean + 0.5 * mean of the highest ceil(0.2 n): a forgery need not show in every frame.

    Never falls when a score rises.

    >>> mean_top20([0.1, 0.1, 0.1, 0.1, 0.9])
    0.58
    """
    ordered = sorted(scores, reverse=True)
    top = ordered[: math.ceil(0.2 * len(ordered))]
    return round(0.5 * _mean(ordered) + 0.5 * _mean(top), 12)


def confident_scaled(scores: Sequence[float]) -> float:
    """The DFDC winner's strategy, its count scaled to the length of the track.

    At least max(3, n / 2.5) scores above 0.8: the mean of those. Over 0.9 n of them below 0.2: the
    mean of those. Else the plain mean. It may fall a little when one more score passes 0.8.

    >>> confident_scaled([0.9, 0.9, 0.9, 0.1])
    0.9
    """
    n = len(scores)
    high = [s for s in scores if s > 0.8]
    low = [s for s in scores if s < 0.2]
    if len(high) >= max(3.0, n / 2.5):
        return _mean(high)
    if len(low) > 0.9 * n:
        return _mean(low)
    return _mean(scores)


def lower_quartile(scores: Sequence[float]) -> float:
    """What three frames in four reach or pass: a picture drawn whole is drawn so in every frame.

    There a few high frames are doubt, not evidence. Never falls when a score rises.

    >>> lower_quartile([0.1, 0.6, 0.7, 0.8, 0.9])
    0.6
    """
    ordered = sorted(scores)
    return ordered[len(ordered) // 4]


METHODS: dict[str, tuple[Named, Method]] = {
    "track-mean-top20": (Named(name="track-mean-top20", version="1"), mean_top20),
    "track-lower-quartile": (Named(name="track-lower-quartile", version="1"), lower_quartile),
    "confident-scaled": (Named(name="confident-scaled", version="1"), confident_scaled),
}


def method(name: str) -> tuple[Named, Method]:
    """The method of that name. Raises ConfigError naming those there are."""
    try:
        return METHODS[name]
    except KeyError:
        raise ConfigError(
            f"no aggregation is called {name!r}.", fix=f"Choose one of: {', '.join(METHODS)}."
        ) from None


def _mean(scores: Sequence[float]) -> float:
    return round(math.fsum(scores) / len(scores), 12)
