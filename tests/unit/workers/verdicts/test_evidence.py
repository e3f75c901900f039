"""Which faces a moderator is shown."""

from tests.unit.workers.making import closed, result, scores
from unmask.policy import Policy
from workers.verdicts.aggregate import aggregate
from workers.verdicts.evidence import choose

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
