"""Which frames are looked at."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.decoding.sampling import parse_policy
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
    ["", "uniform", "uniform:0", "uniform:x", "uniform:-3", "fps:0", "fps:nan", "all:3", "often"],
)
def test_an_unknown_policy_is_refused_with_the_ones_there_are(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_policy(text)
    assert refused.value.code is ReasonCode.CONFIG_INVALID
    assert "uniform:32" in refused.value.fix
