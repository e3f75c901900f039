"""Calibration and combination keep the order of scores and say what they are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.bundle import Calibration, Finds
from workers.verdicts import combine
from workers.verdicts.arithmetic.probability import calibrated, logit, platt, sigmoid
from workers.verdicts.combine import Vote

P = st.floats(0.0, 1.0)
W = st.floats(0.01, 10.0)
FINDS: tuple[Finds, ...] = ("any", "pasted", "generated")
MEMBER = st.builds(Vote, P, W, st.sampled_from(FINDS))


def test_platt_and_isotonic_give_the_values_worked_out_by_hand() -> None:
    assert calibrated(0.5, None) == 0.5
    by_platt = Calibration(method="platt", fitted_on="x", slope=2.0, intercept=1.0)
    assert calibrated(0.5, by_platt) == pytest.approx(1 / (1 + 2.718281828**-1))
    steps = Calibration(method="isotonic", fitted_on="x", xs=(0.2, 0.4, 0.8), ys=(0.1, 0.3, 0.9))
    assert [calibrated(x, steps) for x in (0.0, 0.3, 0.8, 1.0)] == pytest.approx(
        [0.1, 0.2, 0.9, 0.9]
    )


@given(p=st.floats(1e-4, 1 - 1e-4))
def test_logit_and_sigmoid_undo_each_other(p: float) -> None:
    assert sigmoid(logit(p)) == pytest.approx(p, abs=1e-9)


@given(low=P, high=P, slope=st.floats(0.1, 5), intercept=st.floats(-3, 3))
def test_calibration_never_changes_the_order(
    low: float, high: float, slope: float, intercept: float
) -> None:
    low, high = sorted((low, high))
    assert platt(low, slope, intercept) <= platt(high, slope, intercept)


@given(told=st.lists(MEMBER, min_size=1, max_size=5), data=st.data())
def test_the_combination_does_not_depend_on_the_order_and_stays_between_its_members(
    told: list[Vote], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(told))
    joined = combine.combine(told)
    assert combine.combine(shuffled) == joined
    ps = [member.p for member in told]
    assert min(ps) - 1e-5 <= joined <= max(ps) + 1e-5


@given(told=st.lists(MEMBER, min_size=1, max_size=5), rise=P, data=st.data())
def test_the_combination_never_falls_when_a_member_rises(
    told: list[Vote], rise: float, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(told) - 1))
    risen = [*told[:at], told[at]._replace(p=max(told[at].p, rise)), *told[at + 1 :]]
    assert combine.combine(risen) >= combine.combine(told) - 1e-12


def test_one_plugin_alone_is_kept_as_it_is_even_at_the_edge() -> None:
    assert combine.combine([Vote(1.0, 3.0)]) == 1.0
    assert combine.combine([Vote(0.0, 0.0), Vote(1.0, 0.0)]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="nothing"):
        combine.combine([])


def test_a_detector_blind_to_a_kind_cannot_talk_the_one_that_sees_it_out_of_it() -> None:
    seam, drawn = Vote(0.1, 1.0, "pasted"), Vote(0.9, 1.0, "generated")
    assert combine.likeliest([seam, drawn]) == (0.9, "generated")
    assert combine.likeliest([seam._replace(p=0.95), drawn]) == (0.95, "pasted")


def test_those_that_look_for_the_same_are_averaged_and_a_generalist_speaks_of_each() -> None:
    pasted = [Vote(0.2, 1.0, "pasted"), Vote(0.8, 1.0, "pasted")]
    assert combine.likeliest(pasted) == (pytest.approx(0.5), "pasted")
    anything = Vote(0.5, 1.0, "any")
    # Logits: 0.2 and 0.5 halve to -0.693; 0.9 and 0.5 to +1.0986.
    joined, kind = combine.likeliest([pasted[0], Vote(0.9, 1.0, "generated"), anything])
    assert (joined, kind) == (pytest.approx(1 / (1 + math.exp(-1.0986)), abs=1e-4), "generated")
    assert combine.likeliest([anything, anything]) == (pytest.approx(0.5), "any")


def test_a_calibration_is_found_only_for_exactly_these_plugins_and_weights() -> None:
    known = combine.Combination(
        members=("a@1", "b@2"), slope=1.0, intercept=0.0, fitted_on="x", version="1"
    )
    assert combine.find(["b@2", "a@1"], [known]) is known
    assert combine.find(["b@3", "a@1"], [known]) is None
    assert combine.find(["a@1"], [known]) is None
    assert combine.apply(0.3, None) == 0.3
