"""Quick to raise, slow to clear."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.policy import Policy
from unmask.verdict import VerdictLabel
from workers.live.rolling import RollingVerdict

POLICY = Policy(id="test", version="1", suspicious_at=0.7, fake_at=0.8)
NO, SUSPICIOUS, FAKE = VerdictLabel.NO_SIGN_FOUND, VerdictLabel.SUSPICIOUS, VerdictLabel.FAKE
NONE = VerdictLabel.INCONCLUSIVE


def labels(*windows: float | None) -> list[VerdictLabel]:
    rolling = RollingVerdict(POLICY)
    return [rolling.add(5000 * n, 5000 * n + 5000, p).label for n, p in enumerate(windows)]


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([None, 0.1, None], [NONE, NO, NO]),
        ([0.1, 0.75], [NO, SUSPICIOUS]),
        ([0.9, 0.9], [SUSPICIOUS, FAKE]),
        ([0.9, 0.1, 0.9], [SUSPICIOUS, SUSPICIOUS, FAKE]),
        ([0.9, 0.1, 0.1, 0.9], [SUSPICIOUS] * 4),
        # Thirty seconds: six calm windows, and not five; each step down takes as long again.
        ([0.75] + [0.1] * 6, [SUSPICIOUS] * 6 + [NO]),
        ([0.9, 0.9] + [0.1] * 12, [SUSPICIOUS, FAKE] + [FAKE] * 5 + [SUSPICIOUS] * 6 + [NO]),
        # Time without a face, or hardly below the threshold, is no evidence of innocence.
        ([0.75] + [None] * 20 + [0.1] * 6, [SUSPICIOUS] * 26 + [NO]),
        ([0.75] + [0.66] * 20, [SUSPICIOUS] * 21),
        ([0.75] + [0.1] * 5 + [0.75] + [0.1] * 5, [SUSPICIOUS] * 12),
    ],
)
def test_the_label_rises_at_once_and_falls_step_by_step(
    windows: list[float | None], expected: list[VerdictLabel]
) -> None:
    assert labels(*windows) == expected


def test_it_says_when_it_would_clear() -> None:
    rolling = RollingVerdict(POLICY)
    assert rolling.add(0, 5000, 0.1).clears_at_ms is None
    assert rolling.add(5000, 10_000, 0.9).clears_at_ms == 40_000
    raised = rolling.add(10_000, 15_000, 0.1)
    assert (raised.clears_at_ms, raised.since_ms, raised.p_fake) == (40_000, 10_000, 0.9)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=60))
def test_a_raised_label_holds_for_its_time(windows: list[float | None]) -> None:
    found = labels(*windows)
    for n, (p, label) in enumerate(zip(windows, found, strict=True)):
        if p is not None and p >= 0.7:
            assert label in (SUSPICIOUS, FAKE)
            assert all(later in (SUSPICIOUS, FAKE) for later in found[n : n + 6])
