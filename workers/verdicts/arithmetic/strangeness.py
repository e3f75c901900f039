"""Whether faces are strange to a detector: how far out they lie on the whole, not how many. Pure."""

import math
from collections.abc import Iterable
from statistics import fmean

#: A face counts for no more than one so many times as far out, or as near, as the limit.
_MOST = 2.0


def are_strange(distances: Iterable[float | None], limit: float) -> bool:
    """Of abstention scores, one for each face; None where a detector gave none: it
    then says nothing.

    A count of faces beyond the limit turns with one face that crosses it, and copies of one video then
    differ in whether they are judged at all; a mean hardly moves. Its terms are bounded, so that a few
    pages of text among faces do not speak for all.

    >>> are_strange([1.4, 1.6, 1.6], 1.5), are_strange([1.0, 1.52, 1.52], 1.5)
    (True, False)
    >>> are_strange([1.0, 1.0, 100.0], 1.5), are_strange([None, 2.0], 1.5), are_strange([None], 1.5)
    (False, True, False)
    """
    known = [_distance(d / limit) for d in distances if d is not None]
    return bool(known) and fmean(known) > 0.0


def _distance(share: float) -> float:
    return math.log(min(max(share, 1.0 / _MOST), _MOST))
