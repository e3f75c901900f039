"""Every millisecond of a stream is accounted for, once."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.live.ledger import Account, Look, StateChange, account

OUTCOMES = st.sampled_from(["judged", "no_face", "too_small", "dropped"])
LOOKS = st.lists(
    st.builds(Look, st.integers(-500, 6000), OUTCOMES, st.just("too_slow")), max_size=30
)
STATES = st.lists(
    st.builds(StateChange, st.integers(0, 6000), st.sampled_from(["live", "stalled", "reconnecting"])),
    max_size=8,
)  # fmt: skip


@given(LOOKS, STATES, st.integers(0, 3000), st.integers(1, 3000))
def test_the_parts_add_up_to_the_wall_clock(
    looks: list[Look], states: list[StateChange], start: int, length: int
) -> None:
    found = account(start, start + length, looks, states, speaks_for_ms=700)
    assert found.total == length
    assert min(found.judged, found.no_face, found.too_small) >= 0
    assert all(ms > 0 for _, ms in (*found.dropped, *found.gap))


def test_a_look_speaks_for_the_time_since_the_last_one_and_no_longer() -> None:
    looks = [Look(1000, "judged"), Look(1500, "no_face"), Look(4500, "dropped", "too_slow")]
    states = [StateChange(0, "live"), StateChange(2000, "reconnecting"), StateChange(3000, "live")]
    assert account(0, 5000, looks, states, speaks_for_ms=1000) == Account(
        judged=1000,
        no_face=500,
        dropped=(("too_slow", 1500),),
        gap=(("live", 1000), ("reconnecting", 1000)),
    )


def test_accounts_are_added_reason_by_reason() -> None:
    one = Account(judged=1, dropped=(("too_slow", 2),), gap=(("stalled", 3),))
    two = Account(no_face=4, dropped=(("stopped", 5),), gap=(("stalled", 6),))
    both = one + two
    assert both.total == 21
    assert both.gap == (("stalled", 9),)
    assert both.dropped == (("stopped", 5), ("too_slow", 2))


def test_the_last_look_speaks_until_the_next_stretch_unless_the_stream_is_lost() -> None:
    states = [StateChange(0, "live")]
    looks = [Look(500), Look(1000)]
    assert account(0, 1400, looks, states, speaks_for_ms=1000) == Account(judged=1400)
    lost = [*states, StateChange(1200, "reconnecting")]
    assert account(0, 1400, looks, lost, speaks_for_ms=1000) == Account(
        judged=1000, gap=(("live", 200), ("reconnecting", 200))
    )
