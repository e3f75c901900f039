"""Segments decide: found wherever they are, in any order of scores, and no likelier in a long video."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import make_card
from tests.unit.workers.making import closed, result, score
from unmask.messages import FaceScore, IngestClosed, PluginRef, TrackSummary
from unmask.policy import Policy
from unmask.verdict import Verdict, VerdictLabel
from workers.verdicts.aggregate import aggregate
from workers.verdicts.arithmetic.correction import LengthFit, corrected, correction_of
from workers.verdicts.combine import Combination, ShortFit, shipped
from workers.verdicts.windows import SHORT_MS, SPAN_MS, windows_of

POLICY = Policy(id="test", version="1", suspicious_at=0.5, fake_at=0.8)
PLAIN: dict[str, Any] = {"calibration": None, "abstention": None}
Times = st.lists(st.integers(0, 120_000), min_size=1, max_size=80, unique=True).map(sorted)
Cuts = st.lists(st.integers(0, 120_000), max_size=8, unique=True).map(sorted)


def long_video(ps: list[float], cuts_ms: tuple[int, ...] = (), step_ms: int = 1000) -> Verdict:
    """One track, one look per second."""
    found = tuple(_at(score(p, i, face=0), step_ms * i) for i, p in enumerate(ps))
    return aggregate(_closed(len(ps), cuts_ms), [result(found, card=make_card(**PLAIN))], POLICY)


def _at(found: FaceScore, pts_ms: int) -> FaceScore:
    return found.model_copy(update={"crop": found.crop.model_copy(update={"pts_ms": pts_ms})})


def _closed(faces: int, cuts_ms: tuple[int, ...]) -> IngestClosed:
    return closed({1: faces}, cuts_ms=cuts_ms)


@given(times=Times, cuts=Cuts, least=st.integers(1, 6))
def test_windows_hold_enough_faces_and_every_face_is_in_one_however_many_cuts_there_are(
    times: list[int], cuts: list[int], least: int
) -> None:
    spans = windows_of(times, cuts, least)
    covered: set[int] = set()
    for span in spans:
        inside = [t for t in times if span.start_ms <= t <= span.end_ms]
        assert len(inside) >= least
        for cut in (c for c in cuts if span.start_ms < c <= span.end_ms):
            # Only where a shot beside the cut is too short to be judged by itself.
            edges = [0, *(c for c in cuts), times[-1] + 1]
            before = [t for t in times if max(e for e in edges if e < cut) <= t < cut]
            after = [t for t in times if cut <= t < min(e for e in [*edges, 10**9] if e > cut)]
            assert min(len(before), len(after)) < least
        # Longer than it should be only where it takes that to hold enough.
        length = SHORT_MS if span.short else SPAN_MS
        assert span.end_ms - span.start_ms < length or len(inside) == least
        if not span.short:
            covered.update(inside)
    assert covered == set(times) if len(times) >= least else not covered
    assert list(spans) == sorted(set(spans))
    assert len({span[:2] for span in spans}) == len(spans)  # nothing is counted twice


def test_a_clip_of_two_seconds_is_one_window_and_keeps_its_probability() -> None:
    verdict = long_video([0.7] * 32, step_ms=60)
    assert [(w.p, w.faces, w.short) for w in verdict.tracks[0].windows] == [(0.7, 32, False)]
    assert verdict.correction is not None and verdict.correction.shift == 0.0
    assert verdict.p_fake == 0.7


def test_a_forged_stretch_within_one_shot_of_the_same_face_is_found() -> None:
    """No cut, no other face: 4 s of .9 in ten minutes of .2, three looks per second.

    Five seconds hold three real looks beside twelve forged ones, wherever they begin.
    """
    ps = [0.2] * 1800
    ps[907:919] = [0.9] * 12
    verdict = long_video(ps, step_ms=333)
    assert verdict.deciding is not None
    worst = [w for w in verdict.tracks[0].windows if w.p == 0.9]
    assert worst and all(w.short for w in worst)
    assert verdict.p_fake is not None and verdict.p_fake >= POLICY.suspicious_at
    (segment,) = verdict.segments
    assert segment.start_ms <= 333 * 910 and segment.end_ms >= 333 * 916


def test_a_short_window_is_calibrated_as_one_where_that_was_fitted() -> None:
    refs = [PluginRef(key=key, weights="1" * 12) for key in ("one", "two")]
    found = [
        result(
            tuple(
                _at(score(p, i, face=0), 400 * i).model_copy(update={"plugin": ref})
                for i, p in enumerate([0.1] * 30 + [0.9] * 6 + [0.1] * 30)
            ),
            ref=ref,
            card=make_card(plugin=ref.key, **PLAIN),
        )
        for ref in refs
    ]
    combination = Combination(
        members=tuple(ref.slug for ref in refs),
        slope=1.0,
        intercept=0.0,
        fitted_on="test",
        version="1",
        short=ShortFit(slope=1.0, intercept=-0.5),
        length=LengthFit(per_tracks=0.5, per_windows=0.1, most=2.0),
    )
    verdict = aggregate(_closed(66, ()), found, POLICY, combinations=[combination])
    deciding, correction = verdict.deciding, verdict.correction
    assert deciding is not None and correction is not None
    assert (deciding.combined, deciding.calibrated) == (0.9, 0.9)
    assert deciding.of_length == round(corrected(0.9, 0.5), 5)
    assert verdict.p_fake == round(corrected(deciding.of_length, correction.shift), 5)
    (peak,) = {w.p for w in verdict.tracks[0].windows if w.short and w.p > 0.8}
    assert peak == deciding.of_length


def test_a_forged_stretch_of_a_long_video_is_found_where_it_is() -> None:
    """Five frames of .99 in ten minutes of .1: a mean over the track says .18."""
    ps = [0.1] * 600
    ps[300:305] = [0.99] * 5
    verdict = long_video(ps)
    assert verdict.verdict is VerdictLabel.FAKE
    (segment,) = verdict.segments
    assert segment.start_ms < 300_000 + 5000 and segment.end_ms > 300_000
    assert segment.end_ms - segment.start_ms < 15_000
    assert verdict.deciding is not None and verdict.deciding.scope == "window"
    assert (verdict.deciding.start_ms, verdict.deciding.end_ms) == (300_000, 304_000)
    assert verdict.p_fake == segment.p_fake == verdict.deciding.p_fake


def test_no_window_spans_a_cut() -> None:
    """Four forged looks between two cuts would be talked down by real ones beside them."""
    ps = [0.05] * 60
    ps[30:35] = [0.9] * 5
    with_cuts = long_video(ps, cuts_ms=(30_000, 35_000))
    assert with_cuts.segments[0].start_ms == 30_000
    assert with_cuts.segments[0].end_ms == 34_000
    assert max(w.p for w in with_cuts.tracks[0].windows) == 0.9


def test_a_video_suspicious_as_a_whole_is_one_segment_over_its_whole_time() -> None:
    verdict = long_video([0.6] * 60)
    assert [(s.start_ms, s.end_ms) for s in verdict.segments] == [(0, 59_000)]
    assert verdict.deciding is not None and verdict.deciding.scope == "track"
    assert verdict.p_fake == 0.6


@given(
    ps=st.lists(st.floats(0, 1).map(lambda p: round(p, 4)), min_size=5, max_size=40),
    rise=st.floats(0, 1),
    data=st.data(),
)
def test_a_rising_frame_never_lowers_the_video_and_segments_hold_what_is_suspicious(
    ps: list[float], rise: float, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(ps) - 1))
    verdict = long_video(ps)
    risen = long_video([*ps[:at], max(ps[at], rise), *ps[at + 1 :]])
    assert verdict.p_fake is not None and risen.p_fake is not None
    assert risen.p_fake >= verdict.p_fake - 1e-5
    suspicious = verdict.p_fake >= POLICY.suspicious_at
    assert bool(verdict.segments) is suspicious
    if suspicious:
        assert max(s.p_fake for s in verdict.segments) == verdict.p_fake
        assert all(s.p_fake >= POLICY.suspicious_at for s in verdict.segments)


@given(data=st.data(), n=st.integers(10, 40))
def test_the_order_in_which_scores_arrive_does_not_matter(data: st.DataObject, n: int) -> None:
    found = [_at(score(i * 7 % 10 / 10, i, face=0), 700 * i) for i in range(n)]
    shuffled = data.draw(st.permutations(found))
    card = make_card(**PLAIN)
    one = aggregate(_closed(n, (7000,)), [result(tuple(found), card=card)], POLICY)
    two = aggregate(_closed(n, (7000,)), [result(tuple(shuffled), card=card)], POLICY)
    assert one.canonical_json() == two.canonical_json()


@given(
    p=st.floats(0.01, 0.99),
    tracks=st.integers(1, 500),
    windows=st.integers(1, 5000),
    more=st.integers(1, 500),
)
def test_the_more_is_looked_at_the_more_one_stretch_must_show(
    p: float, tracks: int, windows: int, more: int
) -> None:
    fit = LengthFit(per_tracks=0.6, per_windows=0.2, most=2.5)
    few = correction_of(tracks, tracks, tracks + windows, fit)
    many = correction_of(tracks + more, tracks + more, tracks + more + windows, fit)
    longer = correction_of(tracks, tracks, tracks + windows + more, fit)
    assert few.track_shift <= correction_of(tracks, tracks + more, tracks, fit).track_shift
    assert few.shift <= many.shift + 1e-5 or many.shift == fit.most
    assert few.shift <= longer.shift <= fit.most
    assert few.track_shift <= many.track_shift <= fit.most
    assert corrected(p, longer.shift) <= corrected(p, few.shift) <= p


def test_for_two_people_and_ten_seconds_of_each_nothing_is_taken_off() -> None:
    """Of the fit that ships: a second person, or the seconds beside it, is no place to hide a forgery."""
    for combination in shipped():
        assert combination.length is not None
        fit = combination.length
        each = round(fit.free_windows)
        assert correction_of(2, 2, 2 * each, fit).shift == 0.0
        assert correction_of(3, 3, 3 * each, fit).shift > 0.0
        minute = correction_of(1, 1, 7 * each, fit).shift
        assert minute == pytest.approx(fit.per_windows * math.log(7), abs=1e-5)


def test_tracks_of_one_person_are_one_look_at_that_person() -> None:
    tracks = tuple(
        TrackSummary(
            id=i, segments_ms=((0, 200),), faces=6, crops=6, median_face_px=120.0, person=1
        )
        for i in (1, 2, 3)
    )
    found = tuple(score(0.6, 10 * t + i, track=t, face=0) for t in (1, 2, 3) for i in range(6))
    faces, said = {1: 6, 2: 6, 3: 6}, [result(found, card=make_card(**PLAIN))]
    one = aggregate(closed(faces, tracks=tracks), said, POLICY)
    three = aggregate(closed(faces), said, POLICY)
    assert one.correction is not None and three.correction is not None
    assert (one.correction.people, three.correction.people) == (1, 3)
    assert one.correction.track_shift < three.correction.track_shift
    assert one.p_fake is not None and three.p_fake is not None and one.p_fake > three.p_fake
    assert {segment.person for segment in one.segments} == {1}


def test_of_two_people_at_one_place_the_forged_one_is_judged_as_when_alone() -> None:
    """6.4 s real, a hard cut, 3.2 s forged. One track for both said .55 of a forgery of .78."""
    card = make_card(**PLAIN)
    real = tuple(_at(score(0.2, i, track=1, face=0), 320 * i) for i in range(20))
    forged = tuple(_at(score(0.88, 20 + i, track=2, face=0), 6400 + 320 * i) for i in range(10))
    both = aggregate(
        closed({1: 20, 2: 10}, cuts_ms=(6400,)), [result(real + forged, card=card)], POLICY
    )
    alone = aggregate(closed({2: 10}), [result(forged, card=card)], POLICY)
    assert both.deciding is not None and alone.deciding is not None
    assert both.correction is not None and both.correction.people == 2
    assert both.deciding.track_id == 2
    assert both.deciding.calibrated == alone.deciding.calibrated == 0.88
    # What is asked of the worst of two people is all that is between them.
    assert alone.p_fake == 0.88
    assert both.p_fake == round(corrected(0.88, both.correction.track_shift), 5)
    assert both.verdict is alone.verdict is VerdictLabel.FAKE
    assert [(s.track_id, s.start_ms) for s in both.segments] == [(2, 6400)]


@pytest.mark.parametrize("seconds", [10, 60, 600])
def test_how_p_fake_came_about_can_be_redone_from_the_verdict(seconds: int) -> None:
    ps = [0.2 + 0.6 * (i % 7 == 0) for i in range(seconds)]
    verdict = long_video(ps)
    deciding, correction = verdict.deciding, verdict.correction
    assert deciding is not None and correction is not None
    shift = correction.shift if deciding.scope == "window" else correction.track_shift
    assert verdict.p_fake == round(corrected(deciding.calibrated, shift), 5)
    assert [vote.p for vote in deciding.votes] == [deciding.combined]
