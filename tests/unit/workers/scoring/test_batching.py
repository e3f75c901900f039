"""The batching policy loses nothing, keeps the order, and honours the deadline."""

from hypothesis import given
from hypothesis import strategies as st

from workers.scoring.batching import Batcher

Arrivals = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 12)), max_size=40)


@given(arrivals=Arrivals, size=st.integers(1, 9), delay=st.integers(0, 40))
def test_nothing_is_lost_or_doubled_and_the_order_is_kept(
    arrivals: list[tuple[int, int]], size: int, delay: int
) -> None:
    batcher: Batcher[int] = Batcher(size, delay)
    now, sent, got = 0.0, 0, []
    for gap, count in arrivals:
        now += gap
        batcher.add(range(sent, sent + count), now)
        sent += count
        while batch := batcher.take(now):
            assert len(batch) <= size
            got += batch
    while batch := batcher.drain():
        assert len(batch) <= size
        got += batch
    assert got == list(range(sent))


@given(arrivals=Arrivals, size=st.integers(1, 9), delay=st.integers(0, 40))
def test_a_loop_that_sleeps_as_told_never_keeps_an_item_beyond_its_deadline(
    arrivals: list[tuple[int, int]], size: int, delay: int
) -> None:
    batcher: Batcher[float] = Batcher(size, delay)
    now = 0.0
    waited = []
    for gap, count in arrivals:
        until = now + gap
        while (due := batcher.due_in_ms(now)) is not None and now + due <= until:
            now += due
            waited += [now - arrived for arrived in batcher.take(now)]
        now = until
        batcher.add([now] * count, now)
    while (due := batcher.due_in_ms(now)) is not None:
        now += due
        waited += [now - arrived for arrived in batcher.take(now)]
    assert all(wait <= delay for wait in waited)
    assert len(waited) == sum(count for _, count in arrivals)


@given(size=st.integers(1, 9), count=st.integers(0, 20))
def test_a_full_batch_is_due_at_once_and_a_part_filled_one_later(size: int, count: int) -> None:
    batcher: Batcher[int] = Batcher(size, 25)
    batcher.add(range(count), 100.0)
    expected = None if count == 0 else 0.0 if count >= size else 25.0
    assert batcher.due_in_ms(100.0) == expected
    assert batcher.room == max(0, size - count)
    assert bool(batcher.take(100.0)) == (count >= size)
