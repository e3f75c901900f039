"""Which faces a moderator is shown."""

from tests.fakes import make_card
from tests.unit.workers.making import at_seconds, closed, result, scores
from unmask.messages import PluginRef
from unmask.policy import Policy
from workers.verdicts.aggregate import aggregate
from workers.verdicts.drawing.evidence import choose

PLAIN = make_card(calibration=None, abstention=None)
POLICY = Policy(id="test", version="1", suspicious_at=0.5, fake_at=0.8, evidence_per_track=2)


def _shown(seen: dict[int, int], raw: dict[int, list[float]]) -> list[tuple[int, int]]:
    """(track, frame) of every choice, in order."""
    found = [result(tuple(s for track, ps in raw.items() for s in scores(ps, track)))]
    verdict = aggregate(closed(seen), found, POLICY)
    return [
        (choice.score.crop.track_id, choice.score.crop.frame_index)
        for choice in choose(verdict, found, POLICY)
    ]


def test_the_strongest_frames_of_the_likelier_forgery_come_first() -> None:
    raw = {1: [0.1, 0.3, 0.2, 0.1, 0.1, 0.1], 2: [0.5, 0.6, 0.9, 0.7, 0.6, 0.5]}
    assert _shown({1: 6, 2: 6}, raw) == [(2, 2), (2, 3), (1, 1), (1, 2)]


def test_a_track_that_was_not_judged_is_no_evidence_beside_one_that_was() -> None:
    raw = {1: [0.1] * 6, 2: [0.99]}
    assert {track for track, _ in _shown({1: 6, 2: 1}, raw)} == {1}


def test_where_none_was_judged_a_person_sees_what_there_is() -> None:
    assert _shown({1: 2}, {1: [0.2, 0.4]}) == [(1, 1), (1, 0)]


def test_evidence_is_taken_from_the_suspicious_segment_not_from_a_hot_frame_elsewhere() -> None:
    """One look of 1.0 early on, five of .95 in a row later."""
    raw = [0.05] * 40
    raw[3] = 1.0
    raw[25:31] = [0.95] * 6
    found = [result(at_seconds(raw), card=PLAIN)]
    strict = POLICY.model_copy(update={"suspicious_at": 0.7})
    verdict = aggregate(closed({1: 40}), found, strict)
    assert verdict.verdict.value in ("suspicious", "fake")
    shown = choose(verdict, found, strict)
    assert {choice.score.crop.frame_index for choice in shown} <= set(range(25, 31))
    assert all(choice.counts and not choice.note for choice in shown)


def test_a_detector_for_another_kind_or_against_is_no_evidence() -> None:
    seams = make_card(calibration=None, abstention=None, finds="pasted")
    drawn = make_card(plugin="drawn", calibration=None, abstention=None, finds="generated")
    calm = make_card(plugin="calm", calibration=None, abstention=None, finds="generated")
    two, three = PluginRef(key="drawn", weights="1" * 12), PluginRef(key="calm", weights="2" * 12)
    found = [
        result(scores([0.95] * 6), card=seams),
        result(scores([0.99] * 6, ref=two), two, card=drawn),
        result(scores([0.3] * 6, ref=three), three, card=calm),
    ]
    verdict = aggregate(closed({1: 6}), found, POLICY)
    assert verdict.tracks[0].kind == "pasted"
    assert {choice.score.plugin.key for choice in choose(verdict, found, POLICY)} == {"brightness"}


def test_a_hot_face_of_a_video_that_is_not_suspicious_says_why_it_does_not_count() -> None:
    raw = [0.05] * 12
    raw[4] = 1.0
    found = [result(scores(raw), card=PLAIN)]
    verdict = aggregate(closed({1: 12}), found, POLICY)
    assert verdict.verdict.value == "no_sign_found"
    hot = choose(verdict, found, POLICY)[0]
    assert (hot.score.crop.frame_index, hot.p, hot.counts) == (4, 1.0, False)
    assert "1.00" in hot.note and "0.50" in hot.note
    assert f"{verdict.p_fake:.2f}" in hot.note
