"""Faces keep their names from one sampled frame to the next."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from ingest.faces.tracks import Look, Tracker, _cheapest, describe, iou
from unmask.geometry import Box


def look(person: int) -> Look:
    """Histograms that have nothing in common between people."""
    found = np.zeros(256, dtype=np.float32)
    found[person * 8 : person * 8 + 8] = 1 / 8
    found[128 + person * 8 : 128 + person * 8 + 8] = 1 / 8
    return found


def at(x: float, y: float = 100.0, side: float = 60.0) -> Box:
    return (x, y, x + side, y + side)


def test_ids_start_at_one_in_the_order_of_appearance() -> None:
    tracker = Tracker()
    assert tracker.update(0, [at(0), at(300)], [look(0), look(1)]) == [1, 2]
    assert tracker.update(40, [at(300), at(2), at(600)], [look(1), look(0), look(2)]) == [2, 1, 3]


def test_a_face_that_wandered_between_distant_samples_is_known_again() -> None:
    tracker = Tracker()
    tracker.update(0, [at(0)], [look(0)])
    assert tracker.update(2000, [at(110)], [look(0)]) == [1]


def test_another_person_in_the_same_place_after_a_cut_is_another_track() -> None:
    tracker = Tracker()
    tracker.update(0, [at(100)], [look(0)])
    assert tracker.update(2000, [at(104)], [look(5)]) == [2]


def test_a_change_of_light_between_neighbouring_frames_changes_nobody() -> None:
    tracker = Tracker()
    tracker.update(0, [at(100)], [look(0)])
    assert tracker.update(40, [at(102)], [look(5)]) == [1]


def test_two_people_who_pass_each_other_keep_their_ids() -> None:
    tracker = Tracker()
    seen = [
        tracker.update(t * 100, [at(20 * t), at(400 - 20 * t)], [look(0), look(1)])
        for t in range(20)
    ]
    assert seen == [[1, 2]] * 20


def test_a_face_that_was_hidden_for_a_few_samples_comes_back_as_itself() -> None:
    tracker = Tracker()
    tracker.update(0, [at(100)], [look(0)])
    for t in range(1, 4):
        tracker.update(t * 130, [], [])
    assert tracker.update(4 * 130, [at(120)], [look(0)]) == [1]


def test_a_face_that_was_gone_for_long_is_a_new_track() -> None:
    tracker = Tracker()
    tracker.update(0, [at(100)], [look(0)])
    for t in range(1, 9):
        tracker.update(t * 1000, [], [])
    assert tracker.update(9000, [at(100)], [look(0)]) == [2]


def test_one_frame_false_alarms_stay_short_and_take_nobody_over() -> None:
    random = np.random.default_rng(1)
    tracker = Tracker()
    ids: list[int] = []
    alarms: list[int] = []
    for t in range(32):
        alarm = at(random.uniform(300, 1800), random.uniform(300, 900), random.uniform(25, 200))
        mine, other = tracker.update(
            t * 130, [at(100 + t), alarm], [look(0), look(int(random.integers(1, 15)))]
        )
        ids.append(mine)
        alarms.append(other)
    assert set(ids) == {1}
    assert max(alarms.count(i) for i in set(alarms)) <= 3


faces = st.lists(
    st.tuples(st.floats(0, 1000), st.floats(0, 600), st.floats(20, 200), st.integers(0, 15)),
    max_size=6,
)


@settings(max_examples=60)
@given(video=st.lists(faces, min_size=1, max_size=12), step_ms=st.integers(1, 5000))
def test_every_face_gets_one_id_and_no_two_on_a_frame_share_it(
    video: list[list[tuple[float, float, float, int]]], step_ms: int
) -> None:
    one, two = Tracker(), Tracker()
    known = 0
    for t, found in enumerate(video):
        boxes = [at(x, y, side) for x, y, side, _ in found]
        looks = [look(person) for *_, person in found]
        ids = one.update(t * step_ms, boxes, looks)
        assert len(ids) == len(set(ids)) == len(found)
        # New ids follow on the known ones without a gap.
        new = sorted(i for i in ids if i > known)
        assert new == list(range(known + 1, known + 1 + len(new)))
        known += len(new)
        assert two.update(t * step_ms, boxes, looks) == ids


def test_a_description_tells_clothes_apart_and_survives_the_edge_of_the_frame() -> None:
    frame = np.full((100, 100, 3), 128, dtype=np.uint8)
    frame[:, 50:] = (200, 30, 30)
    left, right = describe(frame, (5, 5, 35, 35)), describe(frame, (60, 5, 90, 35))
    assert left.shape == (256,)
    assert not np.allclose(left, right)
    assert np.isclose(describe(frame, (90, 90, 130, 130)).sum(), 2.0)


def test_overlap_is_symmetric_and_nothing_for_strangers() -> None:
    assert iou((0, 0, 10, 10), (5, 0, 15, 10)) == iou((5, 0, 15, 10), (0, 0, 10, 10)) == 1 / 3
    assert iou((0, 0, 10, 10), (20, 0, 30, 10)) == 0.0


@settings(max_examples=100, deadline=None)
@given(
    costs=st.lists(
        st.lists(st.sampled_from([0.1, 0.3, 0.35, 0.8, 1e6, 1e6, 1e6]), min_size=4, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_pairs_nobody_competes_for_are_those_that_the_solver_would_take(
    costs: list[list[float]],
) -> None:
    matrix = np.array(costs)
    rows, columns = linear_sum_assignment(matrix)
    best = matrix[rows, columns]
    pairs = _cheapest(matrix)
    assert all(matrix[pair] < 1.0 for pair in pairs)
    assert len(pairs) == int((best < 1.0).sum())
    assert np.isclose(sum(matrix[pair] for pair in pairs), best[best < 1.0].sum())
