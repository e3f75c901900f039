"""A bound that is passed is said, with both numbers."""

import pytest

from console.commands.operation.stress import Bounds, Stressed, broken, quantile

FOUND = Stressed(
    videos=10, states={"succeeded": 10}, seconds=5.0, videos_per_s=2.0, p50_s=1.0, p95_s=3.0,
    p99_s=4.0, stages_s={"decode": 0.2}, crops=100, broker_ms_per_crop=0.1, dropped=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("bounds", "states", "said"),
    [
        (Bounds(), {"succeeded": 10}, []),
        (Bounds(p95_s=3.0, videos_per_s=2.0), {"succeeded": 10}, []),
        (Bounds(p95_s=2.5), {"succeeded": 10}, ["p95 is 3.0 s, over 2.5"]),
        (Bounds(videos_per_s=4), {"succeeded": 10}, ["2.00 videos per second, under 4"]),
        (Bounds(), {"succeeded": 9, "failed": 1}, ["of 10 videos: {'succeeded': 9, 'failed': 1}"]),
    ],
)
def test_bounds(bounds: Bounds, states: dict[str, int], said: list[str]) -> None:
    assert list(broken(FOUND.model_copy(update={"states": states}), bounds)) == said


def test_a_quantile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(100)]
    assert [quantile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [49, 94, 98, 99]
