"""Which frames are looked at."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.decoding.sampling import SHOT_LOOKS, looks_allowed, parse_policy
from unmask.errors import ConfigError, ReasonCode


@given(total=st.integers(1, 5000), count=st.integers(1, 400))
def test_uniform_takes_exactly_so_many_frames_or_all_there_are(total: int, count: int) -> None:
    chosen = parse_policy(f"uniform:{count}").choose([40.0 * i for i in range(total)], [])
    assert len(chosen) == min(count, total)
    assert chosen == sorted(set(chosen))
    assert chosen[-1] < total
    gaps = [b - a for a, b in itertools.pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    if count > 1:
        assert (chosen[0], chosen[-1]) == (0, total - 1)


@given(
    steps=st.lists(st.integers(1, 900), min_size=1, max_size=200),
    rate=st.floats(0.2, 60),
)
def test_fps_never_takes_more_than_its_rate_and_never_skips_a_stretch(
    steps: list[int], rate: float
) -> None:
    times = [float(sum(steps[:i])) for i in range(len(steps))]
    chosen = parse_policy(f"fps:{rate}").choose(times, [])
    assert chosen[0] == 0
    # No interval of the grid holds two, and none that holds a frame is left out.
    cells = [int((times[i] + 5e-4) * rate / 1000) for i in chosen]
    assert len(set(cells)) == len(cells)
    assert set(cells) == {int((t + 5e-4) * rate / 1000) for t in times}


def test_fps_of_the_video_itself_takes_every_frame() -> None:
    times = [i * 1000 / 30 for i in range(90)]
    assert parse_policy("fps:30").choose(times, []) == list(range(90))


def test_keyframes_and_all_take_what_their_names_say() -> None:
    times, keys = [0.0, 40.0, 80.0], [True, False, True]
    assert parse_policy("keyframes").choose(times, keys) == [0, 2]
    assert parse_policy("all").choose(times, keys) == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "uniform",
        "uniform:0",
        "uniform:x",
        "uniform:-3",
        "fps:0",
        "fps:nan",
        "every:0",
        "every:x",
        "all:3",
        "adaptive:3",
        "often",
    ],
)
def test_an_unknown_policy_is_refused_with_the_ones_there_are(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_policy(text)
    assert refused.value.code is ReasonCode.CONFIG_INVALID
    assert "uniform:32" in refused.value.fix


def test_uniform_counts_in_time_not_in_frames() -> None:
    """A minute at half a frame per second, then ten seconds at sixty."""
    slow = [2000.0 * i for i in range(30)]
    times = slow + [60_000.0 + i * 1000 / 60 for i in range(600)]
    chosen = parse_policy("uniform:32").choose(times, [])
    assert len(chosen) == 32
    assert sum(times[i] < 60_000 for i in chosen) >= 26


@given(steps=st.lists(st.floats(0.0, 5000.0), min_size=1, max_size=300), count=st.integers(1, 60))
def test_uniform_takes_as_many_as_it_says_whatever_the_clock(
    steps: list[float], count: int
) -> None:
    times = list(itertools.accumulate(steps))
    chosen = parse_policy(f"uniform:{count}").choose(times, [])
    assert len(chosen) == min(count, len(times))
    assert chosen == sorted(set(chosen))


def test_every_takes_one_look_per_so_many_seconds() -> None:
    times = [40.0 * i for i in range(1000)]
    chosen = parse_policy("every:2.5").choose(times, [])
    gaps = [times[b] - times[a] for a, b in itertools.pairwise(chosen)]
    assert all(2460 <= gap <= 2540 for gap in gaps)
    assert len(chosen) == 16


@pytest.mark.parametrize(("seconds", "least"), [(4, 32), (10, 32), (60, 180), (600, 1800)])
def test_adaptive_looks_three_times_a_second_and_32_times_at_a_short_clip(
    seconds: int, least: int
) -> None:
    times = [40.0 * i for i in range(seconds * 25)]
    plan = parse_policy("adaptive").plan(times, [], end_ms=1000.0 * seconds)
    assert least <= len(plan.chosen) <= least + 2
    assert plan.longest_unlooked_ms <= 540
    assert plan.looks.steady == len(plan.chosen)


def test_adaptive_looks_at_a_short_shot_often_enough_to_judge_it() -> None:
    times = [40.0 * i for i in range(600 * 25)]
    shot = (7500, 7550)  # two seconds in the middle of ten minutes
    plan = parse_policy("adaptive").plan(times, [], end_ms=600_000.0, cuts=shot)
    inside = [i for i in plan.chosen if shot[0] <= i < shot[1]]
    assert len(inside) == SHOT_LOOKS
    assert plan.looks.shots == len(plan.chosen) - plan.looks.steady > 0


@given(
    total=st.integers(1, 800),
    cuts=st.lists(st.integers(1, 799), max_size=60),
    most=st.integers(1, 200),
    policy=st.sampled_from(["adaptive", "all", "uniform:64", "fps:9", "every:0.2", "keyframes"]),
)
def test_no_policy_takes_more_looks_than_the_limit(
    total: int, cuts: list[int], most: int, policy: str
) -> None:
    times = [40.0 * i for i in range(total)]
    keys = [i % 7 == 0 for i in range(total)]
    plan = parse_policy(policy).plan(
        times, keys, end_ms=40.0 * total, cuts=[c for c in cuts if c < total], most=most
    )
    assert 1 <= len(plan.chosen) <= most
    assert plan.chosen == sorted(set(plan.chosen))
    assert plan.looks.steady + plan.looks.shots == len(plan.chosen)
    assert plan.looks.budget == most
    assert 40 <= plan.longest_unlooked_ms <= 40 * total


def test_a_video_of_cuts_alone_costs_at_most_double() -> None:
    times = [40.0 * i for i in range(25 * 600)]
    plan = parse_policy("adaptive").plan(
        times, [], end_ms=600_000.0, cuts=list(range(8, len(times), 8))
    )
    assert plan.looks.shots <= plan.looks.steady


def test_looks_are_bounded_in_proportion_to_the_length_whatever_is_asked_for() -> None:
    """36,000 tiny frames in a quarter of a megabyte: `all` looks at a thirtieth of them."""
    times = [137_000.0 * i / 36_000 for i in range(36_000)]
    most = looks_allowed(8000, 8.0, 137_000.0)
    plan = parse_policy("all").plan(times, [True] * 36_000, end_ms=137_000.0, most=most)
    assert len(plan.chosen) == 1096
    assert plan.longest_unlooked_ms <= 130
    hours = looks_allowed(8000, 8.0, 4 * 3_600_000.0)
    assert hours == 8000
