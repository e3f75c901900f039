"""A quick look confirms faces that are known; everything else is searched for all over the frame."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.faces import Face
from ingest.faces.quick_search import QuickSearch
from unmask.geometry import Box, iou
from unmask.plugin import Images

WIDTH, HEIGHT = 1200, 800
LEAST_PX = 20
QUICK_PX = 400


@dataclass
class Squares:
    """Finds bright squares of at least 20 px of whatever picture it is given, and notes its size."""

    name: str = "squares"
    weak: bool = False
    quick_px: int = QUICK_PX
    new_score: float = 0.0
    sure: float = 0.9
    """Of where a face ends."""
    looked_at: list[int] = field(default_factory=list)

    def detect(self, rgb: Images) -> list[Face]:
        self.looked_at.append(rgb.shape[1])
        _, _, stats, _ = cv2.connectedComponentsWithStats((rgb[..., 0] > 128).astype(np.uint8))
        return [
            Face(box=(float(x), float(y), float(x + w), float(y + h)), score=0.9)
            for x, y, w, h in sorted(stats[1:, :4].tolist())
            if min(w, h) >= LEAST_PX
        ]

    glimpse = detect

    def at_rest(self, rgb: Images, box: Box) -> tuple[Box, float]:
        """On the square that overlaps `box` most."""
        there = [face.box for face in Squares().detect(rgb) if iou(face.box, box) > 0]
        return (max(there, key=lambda at: iou(at, box)), self.sure) if there else (box, 0.0)


class SlowSquares:
    """The same without a quick look."""

    name, weak = "slow squares", False

    def detect(self, rgb: Images) -> list[Face]:
        return Squares().detect(rgb)


def frame(*boxes: Box) -> Images:
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for x0, y0, x1, y1 in boxes:
        rgb[round(y0) : round(y1), round(x0) : round(x1)] = 255
    return rgb


def square(x: float, y: float, side: float) -> Box:
    return (x, y, x + side, y + side)


def near(found: list[Face], *boxes: Box) -> bool:
    return len(found) == len(boxes) and all(
        iou(face.box, box) > 0.9 for face, box in zip(found, sorted(boxes), strict=True)
    )


def test_a_large_face_is_followed_on_the_reduced_frame_and_all_is_searched_every_fourth_time() -> (
    None
):
    detector = Squares()
    searcher = QuickSearch(detector)
    for number in range(7):
        box = square(300 + 20 * number, 200, 240)
        assert near(searcher.find(frame(box), 500 * number), box)
    assert detector.looked_at == [WIDTH, QUICK_PX, QUICK_PX, QUICK_PX, WIDTH, QUICK_PX, QUICK_PX]


@pytest.mark.parametrize("side", [50, 120])
def test_a_small_face_is_asked_after_on_the_whole_frame_and_keeps_its_box(side: int) -> None:
    """One of 50 px is not to be seen on the reduced frame, one of 120 has 40 there."""
    detector = Squares()
    searcher = QuickSearch(detector)
    for number in range(2):
        box = square(301 + 5 * number, 203, side)
        (face,) = searcher.find(frame(box), 40 * number)
        assert face.box == box
    assert detector.looked_at == [WIDTH, QUICK_PX]


@pytest.mark.parametrize(("sure", "said"), [(0.9, 0.9), (0.4, 0.4), (0.0, None)])
def test_a_face_knows_how_sure_its_finder_was_at_last(sure: float, said: float | None) -> None:
    searcher = QuickSearch(Squares(sure=sure))
    for number in range(3):
        (face,) = searcher.find(frame(square(300 + 20 * number, 200, 240)), 500 * number)
        assert face.sure == said


def test_a_small_face_that_is_asked_after_knows_the_latest() -> None:
    detector = Squares(sure=0.85)
    searcher = QuickSearch(detector)
    for number, sure in enumerate((0.85, 0.95)):
        detector.sure = sure
        (face,) = searcher.find(frame(square(301 + 5 * number, 203, 50)), 40 * number)
        assert face.sure == sure
    assert searcher.was_quick


@pytest.mark.parametrize(("side", "sure", "searched"), [(50, 0.6, 2), (120, 0.6, 2), (240, 0.0, 1)])
def test_a_face_of_which_nobody_is_sure_has_everything_searched_unless_it_is_large(
    side: int, sure: float, searched: int
) -> None:
    detector = Squares(sure=sure)
    searcher = QuickSearch(detector)
    for number in range(2):
        box = square(300 + 3 * number, 201, side)
        assert near(searcher.find(frame(box), 40 * number), box)
    assert detector.looked_at.count(WIDTH) == searched


def test_a_face_at_the_edge_of_the_frame_is_followed_there() -> None:
    searcher = QuickSearch(Squares())
    boxes = [square(0, HEIGHT - 50, 50), square(3, HEIGHT - 48, 48)]
    for number, box in enumerate(boxes):
        assert near(searcher.find(frame(box), 40 * number), box)


@dataclass
class Doubting(Squares):
    """At a glimpse sure of bright squares alone."""

    new_score: float = 0.9

    def glimpse(self, small: Images) -> list[Face]:
        self.looked_at.append(small.shape[1])
        found = Squares().detect(small)
        bright = [small[round(f.box[1]) + 4, round(f.box[0]) + 4, 0] > 200 for f in found]
        return [
            replace(face, score=0.95 if sure else 0.5)
            for face, sure in zip(found, bright, strict=True)
        ]


@pytest.mark.parametrize(("brightness", "searched"), [(150, 1), (255, 2)])
def test_only_a_newcomer_that_a_glimpse_is_sure_of_has_everything_searched(
    brightness: int, searched: int
) -> None:
    known, newcomer = square(300, 200, 240), square(800, 100, 200)
    detector = Doubting()
    searcher = QuickSearch(detector)
    searcher.find(frame(known), 0)
    rgb = np.minimum(frame(known, newcomer), brightness)
    rgb[200:440, 300:540] = 150
    found = searcher.find(rgb, 40)
    assert detector.looked_at.count(WIDTH) == searched
    assert len(found) == searched
    # Whom it knows it need not be sure of anew.
    assert found[0].score == 0.9


def test_a_large_newcomer_is_seen_at_once_with_everybody_small_beside_it() -> None:
    searcher = QuickSearch(Squares())
    known, newcomer, small = square(300, 200, 240), square(800, 100, 200), square(50, 50, 30)
    searcher.find(frame(known), 0)
    assert near(searcher.find(frame(known, newcomer, small), 40), known, newcomer, small)


def test_a_small_newcomer_is_seen_three_frames_later_at_most() -> None:
    searcher = QuickSearch(Squares())
    known, newcomer = square(300, 200, 240), square(800, 100, 30)
    searcher.find(frame(known), 0)
    found = [len(searcher.find(frame(known, newcomer), 40 * number)) for number in range(1, 5)]
    assert found == [1, 1, 1, 2]


def test_a_face_that_left_or_jumped_is_looked_for_everywhere() -> None:
    detector = Squares()
    searcher = QuickSearch(detector)
    searcher.find(frame(square(300, 200, 240)), 0)
    jumped = square(900, 500, 100)
    assert near(searcher.find(frame(jumped), 40), jumped)
    assert searcher.find(frame(), 80) == []
    assert detector.looked_at.count(WIDTH) == 3


def test_sampled_frames_that_are_seconds_apart_say_nothing_about_each_other() -> None:
    detector = Squares()
    searcher = QuickSearch(detector)
    for number in range(4):
        searcher.find(frame(square(300, 200, 240)), 2000 * number)
    assert detector.looked_at == [WIDTH] * 4


def test_small_frames_crowds_and_detectors_without_a_quick_look_are_searched_whole() -> None:
    crowd = [square(100 + 60 * number, 300, 30) for number in range(8)]
    searcher = QuickSearch(Squares())
    for number in range(3):
        assert near(searcher.find(frame(*crowd), 40 * number), *crowd)
    detector = Squares()
    searcher = QuickSearch(detector)
    for number in range(3):
        searcher.find(frame(square(100, 100, 200))[:400, :500], 40 * number)
    assert detector.looked_at == [500] * 3
    slow = QuickSearch(SlowSquares())
    for number in range(3):
        assert near(slow.find(frame(*crowd), 40 * number), *crowd)


places = st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(25, 150))
people = st.lists(
    st.tuples(places, st.integers(0, 5), st.integers(1, 6)),
    max_size=5,
    unique_by=lambda person: person[0][:2],
)


@settings(max_examples=15, deadline=None)
@given(people=people, step_ms=st.integers(20, 2500))
def test_large_faces_are_never_late_small_ones_hardly_and_nobody_is_imagined(
    people: list[tuple[tuple[int, int, int], int, int]], step_ms: int
) -> None:
    # Everybody has a place of 200 px of their own, comes at some frame, and stays for a while.
    large_px = 1.1 * LEAST_PX * WIDTH / QUICK_PX
    searcher = QuickSearch(Squares())
    for number in range(6):
        there = {
            square(200 * x + 10 + 2 * number, 200 * y + 10, side): came
            for (x, y, side), came, stays in people
            if came <= number < came + stays
        }
        found = searcher.find(frame(*there), step_ms * number)
        seen = [[box for box in there if iou(face.box, box) > 0.75] for face in found]
        assert all(len(boxes) == 1 for boxes in seen)
        assert len({boxes[0] for boxes in seen}) == len(found)
        for box, came in there.items():
            late = number - came >= 3 or box[2] - box[0] >= large_px
            assert [box] in seen or not late


def test_switched_off_every_frame_is_searched_and_none_counts_as_quick() -> None:
    face = square(300, 300, 300)
    for quick in (True, False):
        detector = Squares()
        searcher = QuickSearch(detector, quick=quick)
        said = []
        for number in range(5):
            assert near(searcher.find(frame(face), number * 100), face)
            said.append(searcher.was_quick)
        assert said == [False, quick, quick, quick, False]
        assert (QUICK_PX in detector.looked_at) == quick
