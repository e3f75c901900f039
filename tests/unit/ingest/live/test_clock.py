"""A stream's clock goes on, whatever its timestamps do."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.live.stream_clock import StreamClock

BASE = Fraction(1, 90000)
STEP = 3600  # 40 ms


def times(pts: list[int | None]) -> list[int]:
    clock = StreamClock()
    return [clock.tick(p, BASE) for p in pts]


@pytest.mark.parametrize(
    ("pts", "expected"),
    [
        ([7 * STEP, 8 * STEP, 9 * STEP], [0, 40, 80]),
        # RTSP: the first frames may have none.
        ([None, None, 5 * STEP, 6 * STEP], [0, 40, 80, 120]),
        ([None, 5 * STEP, None, 7 * STEP], [0, 40, 80, 120]),
        # 33 bits are over.
        ([2**33 - STEP, 0, STEP], [0, 40, 80]),
        ([2**33 - STEP, 0, STEP, 2**33 - STEP + 10**7], [0, 40, 80, 120]),
        # The encoder was started again, or its clock was set.
        ([9000 * STEP, 9001 * STEP, 0, STEP], [0, 40, 80, 120]),
        ([0, STEP, 9000 * STEP, 9001 * STEP], [0, 40, 80, 120]),
        # A short loss is time that went by.
        ([0, STEP, 51 * STEP, 52 * STEP], [0, 40, 2040, 2080]),
        # Late and doubled pictures.
        ([0, 2 * STEP, STEP, 2 * STEP, 3 * STEP], [0, 80, 80, 80, 120]),
    ],
)
def test_timestamps_become_time(pts: list[int | None], expected: list[int]) -> None:
    assert times(pts) == expected


@given(st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), max_size=40))
def test_time_never_runs_backwards_and_never_leaps(pts: list[int | None]) -> None:
    found = times(pts)
    assert found == sorted(found)
    assert all(b - a <= 5001 for a, b in itertools.pairwise(found))
