"""From frame scores to a verdict: worked out by hand, indifferent to order, monotone, never 0.5."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import make_card
from tests.unit.workers.making import REF, closed, result, score, scores
from unmask.bundle import Abstention
from unmask.errors import ReasonCode, UnmaskError
from unmask.messages import Coverage, PluginRef, Reason
from unmask.policy import Policy
from unmask.verdict import PluginStatus, Verdict, VerdictLabel
from workers.verdicts.aggregate import aggregate
from workers.verdicts.arithmetic.correction import UNFITTED, corrected, correction_of
from workers.verdicts.arithmetic.probability import platt
from workers.verdicts.arithmetic.track_score import confident_scaled, lower_quartile, mean_top20
from workers.verdicts.combine import Combination

OTHER = PluginRef(key="other", weights="1" * 12)
#: Its own thresholds: the shipped ones move with the shipped weights.
DEFAULT = Policy(id="test", version="1", suspicious_at=0.5, fake_at=0.8)
PLAIN: dict[str, Any] = {"calibration": None, "abstention": None}
Scores = st.lists(st.floats(0.0, 1.0).map(lambda p: round(p, 5)), min_size=1, max_size=30)


def codes(verdict: Verdict) -> list[ReasonCode]:
    return [reason.code for reason in verdict.reasons]


def test_a_track_is_half_its_mean_and_half_the_mean_of_its_top_fifth() -> None:
    assert mean_top20([0.1] * 8 + [0.5, 0.9]) == pytest.approx(0.5 * 0.22 + 0.5 * 0.7)
    assert mean_top20([0.3]) == pytest.approx(0.3)


@given(ps=Scores, data=st.data())
def test_the_track_methods_do_not_depend_on_the_order_of_frames(
    ps: list[float], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(ps))
    assert mean_top20(shuffled) == mean_top20(ps)
    assert lower_quartile(shuffled) == lower_quartile(ps)
    assert confident_scaled(shuffled) == confident_scaled(ps)
    assert min(ps) - 1e-9 <= mean_top20(ps) <= max(ps) + 1e-9


@given(ps=Scores, rise=st.floats(0.0, 1.0), data=st.data())
def test_a_rising_frame_score_never_lowers_the_track(
    ps: list[float], rise: float, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(ps) - 1))
    risen = [*ps[:at], max(ps[at], rise), *ps[at + 1 :]]
    assert mean_top20(risen) >= mean_top20(ps) - 1e-9


def test_the_confident_strategy_takes_the_confident_frames_where_there_are_enough() -> None:
    assert confident_scaled([0.9] * 4 + [0.3] * 6) == pytest.approx(0.9)
    assert confident_scaled([0.9] * 3 + [0.3] * 7) == pytest.approx(0.48)
    assert confident_scaled([0.1] * 19 + [0.5]) == pytest.approx(0.1)


def test_the_video_is_its_most_suspicious_track_calibrated_after_aggregation() -> None:
    found = scores([0.2] * 6, 1) + scores([0.7] * 5, 2)
    verdict = aggregate(closed({1: 6, 2: 5}), [result(found)], DEFAULT)
    alone = [round(platt(p, 2.0, 0.5), 5) for p in (0.2, 0.7)]
    assert [track.windows[0].p for track in verdict.tracks] == alone
    assert verdict.correction == correction_of(2, 2, 2, UNFITTED)  # two were looked at
    assert verdict.correction.shift == 0.0
    expected = [round(corrected(p, verdict.correction.shift), 5) for p in alone]
    assert [track.p_fake for track in verdict.tracks] == expected
    assert verdict.p_fake == expected[1]
    assert verdict.plugins[0].raw == 0.7
    assert verdict.verdict is VerdictLabel.FAKE
    assert verdict.calibrated and verdict.reliable
    assert verdict.rests_on == (REF,)
    assert verdict.reasons == ()


@given(
    tracks=st.lists(Scores, min_size=1, max_size=4),
    data=st.data(),
    method=st.sampled_from(["track-mean-top20", "track-lower-quartile", "confident-scaled"]),
)
def test_the_verdict_is_the_same_bytes_in_whatever_order_scores_arrive(
    tracks: list[list[float]], data: st.DataObject, method: str
) -> None:
    found = tuple(s for i, ps in enumerate(tracks, 1) for s in scores(ps, i))
    others = tuple(score(1 - s.p, s.crop.frame_index, s.crop.track_id, OTHER) for s in found)
    policy = DEFAULT.model_copy(update={"aggregation": method})
    end = closed({i: len(ps) for i, ps in enumerate(tracks, 1)})
    first = aggregate(end, [result(found), result(others, OTHER)], policy)
    mixed = tuple(data.draw(st.permutations(found)))
    second = aggregate(end, [result(others, OTHER), result(mixed)], policy)
    assert second.canonical_json() == first.canonical_json()
    assert first.coverage.sampled == (
        first.coverage.scored + first.coverage.no_face + first.coverage.failed
    )


@given(ps=st.lists(st.floats(0, 1), min_size=5, max_size=12), rise=st.floats(0, 1), data=st.data())
def test_a_rising_frame_score_never_lowers_the_video(
    ps: list[float], rise: float, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(ps) - 1))
    risen = [*ps[:at], max(ps[at], rise), *ps[at + 1 :]]
    end = closed({1: len(ps)})
    low = aggregate(end, [result(scores(ps))], DEFAULT).p_fake
    high = aggregate(end, [result(scores(risen))], DEFAULT).p_fake
    assert low is not None and high is not None
    assert high >= low


@pytest.mark.parametrize("found", [0, 7])
def test_no_face_and_only_tiny_faces_are_inconclusive_with_their_own_reason(found: int) -> None:
    end = closed({}, frames=9)
    coverage = Coverage(sampled=9, no_face=9, faces_found=found, faces_too_small=found)
    verdict = aggregate(end.model_copy(update={"coverage": coverage}), [result(())], DEFAULT)
    assert verdict.verdict is VerdictLabel.INCONCLUSIVE
    assert verdict.p_fake is None
    expected = ReasonCode.FACE_TOO_SMALL if found else ReasonCode.NO_FACE
    assert verdict.reasons[0].code is expected


@pytest.mark.parametrize(
    ("field", "code"),
    [("sideways", ReasonCode.FACE_SIDEWAYS), ("hardly_a_face", ReasonCode.HARDLY_A_FACE)],
)
def test_what_ingest_doubts_is_not_judged_however_forged_it_looks(
    field: str, code: ReasonCode
) -> None:
    end = closed({1: 6, 2: 5})
    doubted = end.tracks[1].model_copy(update={field: True})
    found = [result(scores([0.2] * 6, 1) + scores([0.95] * 5, 2))]
    both = aggregate(end.model_copy(update={"tracks": (end.tracks[0], doubted)}), found, DEFAULT)
    first = aggregate(closed({1: 6}), [result(scores([0.2] * 6, 1))], DEFAULT)
    assert both.p_fake == first.p_fake
    assert both.plugins[0].raw == first.plugins[0].raw
    (reason,) = [track.reason for track in both.tracks if track.id == 2]
    assert reason is not None and reason.code is code
    ours = [result(scores([0.95] * 5, 2))]
    alone = aggregate(end.model_copy(update={"tracks": (doubted,)}), ours, DEFAULT)
    assert alone.p_fake is None
    assert alone.reasons[0].code is code


def test_four_faces_are_too_few_and_say_so() -> None:
    verdict = aggregate(closed({1: 4}), [result(scores([0.99] * 4))], DEFAULT)
    assert verdict.p_fake is None
    assert verdict.reasons[0].code is ReasonCode.TOO_FEW_FRAMES
    track = verdict.tracks[0]
    assert (track.status, track.p_fake) == ("insufficient", None)
    assert track.reason is not None and track.reason.code is ReasonCode.TOO_FEW_FRAMES
    assert [point.p for point in track.timeline] == [round(platt(0.99, 2.0, 0.5), 5)] * 4
    assert verdict.plugins[0].status is PluginStatus.ABSTAINED


def test_a_small_face_is_not_judged_whatever_its_scores() -> None:
    verdict = aggregate(closed({1: 9}, face_px=63.9), [result(scores([0.9] * 9))], DEFAULT)
    assert verdict.p_fake is None
    assert verdict.reasons[0].code is ReasonCode.FACE_TOO_SMALL


def test_a_short_track_beside_a_long_one_leaves_the_video_judged() -> None:
    found = scores([0.1] * 6, 1) + scores([0.99] * 2, 2)
    verdict = aggregate(closed({1: 6, 2: 2}), [result(found, card=make_card(**PLAIN))], DEFAULT)
    assert verdict.p_fake == 0.1
    assert [track.status for track in verdict.tracks] == ["judged", "insufficient"]
    assert ReasonCode.UNCALIBRATED in codes(verdict)
    assert not verdict.calibrated


@pytest.mark.parametrize(("strange", "judged"), [(5, True), (6, False)])
def test_a_plugin_abstains_on_a_track_whose_faces_are_on_the_whole_unlike_its_training(
    strange: int, judged: bool
) -> None:
    card = make_card(abstention=Abstention(method="mahalanobis", limit=3.0))
    found = tuple(score(0.9, i, ood=3.1 if i < strange else 2.9) for i in range(10))
    verdict = aggregate(closed({1: 10}), [result(found, card=card)], DEFAULT)
    assert (verdict.p_fake is not None) == judged
    assert (ReasonCode.OUT_OF_DISTRIBUTION in codes(verdict)) != judged
    assert verdict.plugins[0].counts == judged


@pytest.mark.parametrize(("weight", "judged"), [(1.0, False), (0.0, True)])
def test_a_face_strange_to_one_plugin_is_judged_by_none(weight: float, judged: bool) -> None:
    card = make_card(
        abstention=Abstention(method="mahalanobis", limit=3.0), combination_weight=weight
    )
    strange = tuple(score(0.9, i, ood=4.0) for i in range(6))
    other = scores([0.9] * 6, ref=OTHER)
    verdict = aggregate(closed({1: 6}), [result(strange, card=card), result(other, OTHER)], DEFAULT)
    assert (verdict.p_fake is not None) == judged
    assert (verdict.tracks[0].status == "judged") == judged
    if not judged:
        assert verdict.verdict is VerdictLabel.INCONCLUSIVE
        assert verdict.reasons[0].code is ReasonCode.OUT_OF_DISTRIBUTION


def test_without_weights_there_is_no_verdict_and_no_half() -> None:
    ref = PluginRef(key="brightness", weights="untrained")
    absent = result((), ref, card=None, asked=False, engines=())
    verdict = aggregate(closed({1: 9}), [absent], DEFAULT)
    assert verdict.p_fake is None
    assert verdict.reasons[0].code is ReasonCode.NO_WEIGHTS
    assert verdict.plugins[0].status is PluginStatus.NO_WEIGHTS
    assert verdict.plugins[0].engine is None
    assert verdict.coverage.failed == 9
    assert aggregate(closed({1: 9}), [], DEFAULT).reasons[0].code is ReasonCode.NO_WEIGHTS


@pytest.mark.parametrize("allowed", [True, False])
def test_untrained_weights_count_only_where_allowed_and_never_reliably(allowed: bool) -> None:
    ref = PluginRef(key="brightness", weights="untrained")
    untrained = result(scores([0.9] * 6, ref=ref), ref, card=None)
    verdict = aggregate(closed({1: 6}), [untrained], DEFAULT, allow_untrained=allowed)
    assert (verdict.p_fake == 0.9) == allowed
    assert verdict.plugins[0].status is PluginStatus.UNTRAINED
    if allowed:
        assert not verdict.reliable
        assert ReasonCode.UNTRAINED_WEIGHTS in codes(verdict)


def test_a_plugin_that_fails_leaves_the_verdict_to_the_others_and_shows_why() -> None:
    broken = result(
        (),
        OTHER,
        failures={
            f"{i}:0": Reason(code=ReasonCode.PLUGIN_FAILED, message="boom") for i in range(6)
        },
        engines=(),
    )
    verdict = aggregate(closed({1: 6}), [broken, result(scores([0.7] * 6))], DEFAULT)
    assert verdict.rests_on == (REF,)
    assert verdict.p_fake is not None
    rows = {row.key: row for row in verdict.plugins}
    assert rows["other"].status is PluginStatus.FAILED
    assert not rows["other"].counts
    assert rows["other"].reason is not None and "boom" in rows["other"].reason.message
    assert ReasonCode.PLUGIN_FAILED in codes(verdict)
    assert verdict.coverage.faces_scored == 6


def test_dead_letters_are_named_and_their_frames_counted_as_failed() -> None:
    dead = {"6:0": Reason(code=ReasonCode.DEAD_LETTER, message="died")}
    verdict = aggregate(closed({1: 7}), [result(scores([0.7] * 6), failures=dead)], DEFAULT)
    assert verdict.p_fake is not None
    assert ReasonCode.DEAD_LETTER in codes(verdict)
    assert (verdict.coverage.scored, verdict.coverage.failed) == (6, 1)


def test_several_plugins_are_combined_by_weight_and_calibrated_only_as_measured() -> None:
    mine = result(scores([0.8] * 6), card=make_card(**PLAIN, combination_weight=3.0))
    theirs = result(
        scores([0.2] * 6, ref=OTHER), OTHER, card=make_card(**PLAIN, combination_weight=1.0)
    )
    plain = aggregate(closed({1: 6}), [mine, theirs], DEFAULT)
    assert plain.p_fake == round(platt(0.8, 0.5, 0.0), 5)
    assert not plain.calibrated
    assert plain.tracks[0].p_fake == plain.p_fake
    assert ReasonCode.PLUGINS_DISAGREE in codes(plain)
    known = Combination(
        members=(OTHER.slug, REF.slug), slope=2.0, intercept=0.0, fitted_on="x", version="1"
    )
    fitted = aggregate(closed({1: 6}), [mine, theirs], DEFAULT, combinations=[known])
    assert fitted.p_fake == 0.8
    assert fitted.calibrated


def test_the_likelier_kind_of_forgery_counts_and_is_named() -> None:
    seams = result(scores([0.2] * 6), card=make_card(**PLAIN, finds="pasted"))
    drawn = result(scores([0.95] * 6, ref=OTHER), OTHER, card=make_card(**PLAIN, finds="generated"))
    verdict = aggregate(closed({1: 6}), [seams, drawn], DEFAULT)
    assert (verdict.p_fake, verdict.tracks[0].kind) == (0.95, "generated")
    assert {point.p for point in verdict.tracks[0].timeline} == {0.95}
    # Each looks for something else: that one of them finds nothing is no disagreement.
    assert ReasonCode.PLUGINS_DISAGREE not in codes(verdict)
    assert aggregate(closed({1: 6}), [seams], DEFAULT).tracks[0].kind == "pasted"
    anything = result(scores([0.2] * 6), card=make_card(**PLAIN))
    assert aggregate(closed({1: 6}), [anything], DEFAULT).tracks[0].kind is None


def test_a_bundle_says_how_its_frame_scores_become_one_and_the_row_tells() -> None:
    assert lower_quartile([0.9]) == 0.9
    assert lower_quartile([0.5] * 4 + [0.9] * 8) == 0.5
    assert lower_quartile([0.5] * 3 + [0.9] * 9) == 0.9  # three in four reach it
    said = scores([0.2] * 3 + [0.9] * 3)
    usual = aggregate(closed({1: 6}), [result(said, card=make_card(**PLAIN))], DEFAULT)
    card = make_card(**PLAIN, aggregation="track-lower-quartile")
    own = aggregate(closed({1: 6}), [result(said, card=card)], DEFAULT)
    assert (own.p_fake, usual.p_fake) == (0.2, pytest.approx(0.5 * 0.55 + 0.5 * 0.9))
    assert own.aggregation == usual.aggregation  # the policy's
    assert own.plugins[0].aggregation is not None
    assert own.plugins[0].aggregation.name == "track-lower-quartile"
    assert usual.plugins[0].aggregation is None


def test_a_bundle_of_weight_zero_counts_only_where_it_is_alone() -> None:
    silent = result(scores([0.9] * 6), card=make_card(combination_weight=0.0))
    theirs = result(scores([0.2] * 6, ref=OTHER), OTHER)
    assert aggregate(closed({1: 6}), [silent, theirs], DEFAULT).rests_on == (OTHER,)
    assert aggregate(closed({1: 6}), [silent], DEFAULT).rests_on == (REF,)


def test_a_job_whose_media_could_not_be_read_has_no_verdict() -> None:
    with pytest.raises(UnmaskError, match="no verdict"):
        aggregate(closed({}, media=None), [], DEFAULT)


def test_plugins_are_joined_face_by_face_so_the_video_is_never_worse_than_its_worst_face() -> None:
    card = make_card(plugin="other", **PLAIN)
    one = result(scores([0.9] * 6, track=1) + scores([0.1] * 6, track=2), card=make_card(**PLAIN))
    two = result(
        scores([0.1] * 6, track=1, ref=OTHER) + scores([0.9] * 6, track=2, ref=OTHER),
        ref=OTHER,
        card=card,
    )
    verdict = aggregate(closed({1: 6, 2: 6}), [one, two], DEFAULT)
    assert [track.windows[0].p for track in verdict.tracks] == [0.5, 0.5]
    assert verdict.p_fake == 0.5


def test_weights_without_signal_are_said_to_be_so_in_every_verdict() -> None:
    blind = result(scores([0.4937] * 6))
    assert ReasonCode.NO_SIGNAL not in codes(aggregate(closed({1: 6}), [blind], DEFAULT))
    assert blind.card is not None
    told = dataclasses.replace(blind, card=blind.card.model_copy(update={"no_signal": True}))
    verdict = aggregate(closed({1: 6}), [told], DEFAULT)
    (said,) = [reason for reason in verdict.reasons if reason.code is ReasonCode.NO_SIGNAL]
    assert "no better than chance" in said.message and "brightness" in said.message
