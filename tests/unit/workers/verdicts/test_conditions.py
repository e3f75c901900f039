"""A policy that asks gets the false alarms it was promised at every measured face size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import make_card
from tests.unit.workers.making import REF, closed, result, scores
from trainers.calibrate import thresholds
from trainers.evaluation.scores import VideoScore
from unmask.messages import PluginRef
from unmask.policy import Policy
from unmask.verdict import VerdictLabel
from workers.verdicts.aggregate import aggregate
from workers.verdicts.arithmetic.conditions import condition_of
from workers.verdicts.arithmetic.probability import logit
from workers.verdicts.combine import Combination

OTHER = PluginRef(key="other", weights="1" * 12)
#: Reals of 96 to 192 px score high: their points lie far above those of all.
POINTS = {
    "fpr_0.05": 0.7, "fpr_0.05_overall": 0.6, "fpr_0.05|quality=crf 32": 0.7,
    "fpr_0.05|face_px=96-192": 0.8, "fpr_0.05|face_px=192-inf": 0.5,
    "fpr_0.01_overall": 0.75, "fpr_0.01|face_px=96-192": 0.9, "fpr_0.01|face_px=192-inf": 0.75,
}  # fmt: skip
ASKING = Policy(id="t", version="1", suspicious_at=0.6, fake_at=0.75, conditions="face_px")
SILENT = ASKING.model_copy(update={"conditions": "none"})
Probabilities = st.floats(0.0, 1.0)
Sizes = st.floats(96.0, 500.0)


def moved(p: float, face_px: float) -> float:
    condition = condition_of(face_px, POINTS)
    assert condition is not None
    return condition.moved(p)


def test_a_bands_points_come_to_lie_on_the_overall_ones() -> None:
    assert moved(0.8, 100.0) == pytest.approx(0.6)
    assert moved(0.9, 100.0) == pytest.approx(0.75)
    assert moved(0.5, 192.0) == pytest.approx(0.6)
    assert moved(0.75, 1000.0) == pytest.approx(0.75)


def test_the_move_is_worked_out_by_hand_below_between_and_above() -> None:
    # Below: odds 4 become odds 1.5, so every odds is multiplied by 0.375.
    assert moved(0.5, 100.0) == pytest.approx(0.375 / 1.375)
    # Above: odds 9 become odds 3, a third.
    assert moved(0.95, 100.0) == pytest.approx((19 / 3) / (1 + 19 / 3))
    # Between: half way in logits from odds 4 to 9 is odds 6; from 1.5 to 3, the root of 4.5.
    assert moved(6 / 7, 100.0) == pytest.approx(4.5**0.5 / (1 + 4.5**0.5))


def test_sizes_that_were_not_measured_have_no_condition() -> None:
    assert condition_of(95.9, POINTS) is None
    assert condition_of(100.0, {}) is None
    assert condition_of(100.0, {"fpr_0.05|face_px=96-192": 0.5}) is None
    assert condition_of(100.0, {"fpr_0.05_overall": 0.5, "fpr_0.05|face_px=wide": 0.5}) is None


def test_of_two_points_at_one_place_the_lower_goal_counts() -> None:
    points = POINTS | {"fpr_0.01|face_px=96-192": 0.8}
    condition = condition_of(100.0, points)
    assert condition is not None
    assert condition.anchors == ((logit(0.8), logit(0.6)),)


@given(a=Probabilities, b=Probabilities, face_px=Sizes)
def test_the_order_of_two_faces_of_one_size_is_kept(a: float, b: float, face_px: float) -> None:
    low, high = sorted((a, b))
    assert 0.0 <= moved(low, face_px) <= moved(high, face_px) + 1e-12 <= 1.0 + 1e-12


@given(p=st.floats(0.001, 0.999), face_px=Sizes)
def test_a_band_like_the_whole_moves_nothing(p: float, face_px: float) -> None:
    points = {
        "fpr_0.05_overall": 0.6, "fpr_0.05|face_px=96-inf": 0.6,
        "fpr_0.01_overall": 0.8, "fpr_0.01|face_px=96-inf": 0.8,
    }  # fmt: skip
    condition = condition_of(face_px, points)
    assert condition is not None
    assert condition.moved(p) == pytest.approx(p)


@given(seed=st.integers(0, 10_000), fpr=st.sampled_from([0.05, 0.01]))
def test_no_more_reals_of_a_band_than_promised_pass_the_overall_threshold(
    seed: int, fpr: float
) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.uniform(60, 400, 90)
    raws = np.clip(rng.beta(2, 4, 90) + np.where(sizes < 192, 0.3, 0.0), 0, 1)
    videos = [
        VideoScore(key=f"{n}", dataset="d", method="real", label=0, raw=float(p), face_px=float(s))
        for n, (p, s) in enumerate(zip(raws, sizes, strict=True))
    ]
    points = thresholds(videos, None)
    wanted = points[f"fpr_{fpr:g}_overall"] + 1e-9
    by_band: dict[str, list[bool]] = {}
    for video in videos:
        condition = condition_of(video.face_px or 0.0, points)
        if condition is not None:
            by_band.setdefault(condition.name, []).append(condition.moved(video.raw) >= wanted)
    assert by_band
    assert all(np.mean(alarms) <= fpr for alarms in by_band.values())


def verdict_of(policy: Policy, *, face_px: float = 120.0, points: dict[str, float] = POINTS):
    card = make_card(calibration=None, abstention=None, thresholds=points)
    found = result(scores([0.78] * 6), card=card)
    return aggregate(closed({1: 6}, face_px=face_px), [found], policy)


def test_a_policy_that_does_not_ask_gets_what_it_always_got() -> None:
    verdict = verdict_of(SILENT)
    assert (verdict.p_fake, verdict.verdict) == (0.78, VerdictLabel.FAKE)
    assert verdict.tracks[0].condition is None
    assert verdict.policy.conditions == "none"


def test_a_policy_that_asks_gets_the_face_size_obeyed_and_told() -> None:
    verdict = verdict_of(ASKING)
    odds = 0.78 / 0.22 * 0.375
    assert verdict.p_fake == pytest.approx(odds / (1 + odds), abs=1e-5)
    assert verdict.verdict is VerdictLabel.NO_SIGN_FOUND
    obeyed = verdict.tracks[0].condition
    assert obeyed is not None
    assert (obeyed.name, obeyed.p_before) == ("face_px=96-192", 0.78)
    assert verdict.plugins[0].p_fake == 0.78  # the plugin's own word is not touched
    assert verdict.policy.conditions == "face_px"


def test_faces_of_a_size_nobody_measured_are_left_as_they_are() -> None:
    small = verdict_of(ASKING, face_px=80.0)
    assert small.p_fake == 0.78 and small.tracks[0].condition is None
    assert verdict_of(ASKING, points={}).p_fake == 0.78


def test_several_plugins_obey_the_points_of_the_combination_not_their_own() -> None:
    plain = {"calibration": None, "abstention": None, "thresholds": POINTS}
    found = [
        result(scores([0.78] * 6), card=make_card(**plain)),
        result(scores([0.78] * 6, ref=OTHER), ref=OTHER, card=make_card(plugin="other", **plain)),
    ]
    alone = Combination(
        members=(REF.slug, OTHER.slug), slope=1.0, intercept=0.0, fitted_on="x", version="1"
    )
    measured = alone.model_copy(update={"thresholds": POINTS})
    seen = closed({1: 6})
    assert aggregate(seen, found, ASKING).p_fake == 0.78
    assert aggregate(seen, found, ASKING, combinations=[alone]).p_fake == 0.78
    moved_p = aggregate(seen, found, ASKING, combinations=[measured]).p_fake
    assert moved_p == pytest.approx(moved(0.78, 120.0), abs=1e-5)


def test_points_that_fall_while_the_score_rises_are_passed_over() -> None:
    """Measured points are noisy: a higher score must never become a lower probability."""
    points = {
        "a_overall": 0.8, "a|face_px=96-192": 0.3,
        "b_overall": 0.5, "b|face_px=96-192": 0.6,
        "c_overall": 0.9, "c|face_px=96-192": 0.7,
    }  # fmt: skip
    condition = condition_of(120.0, points)
    assert condition is not None
    assert condition.anchors == ((logit(0.3), logit(0.8)), (logit(0.7), logit(0.9)))
    moved_up = [condition.moved(p / 50) for p in range(1, 50)]
    assert moved_up == sorted(moved_up)
