"""A face's box ends at the same place whoever found it, and wherever the search began."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.faces import Face, QuickDetector, build_face_detector
from ingest.faces.finders import scout
from ingest.faces.quick_search import QuickSearch
from tests.unit.ingest.clips import FACELESS, portrait
from unmask.geometry import Box, longer_side
from unmask.plugin import Images
from unmask.settings import Settings

Edges = NDArray[np.float64]
FRAME = portrait(280, (800, 800))
FACE_PX = 300


@pytest.fixture(scope="module")
def mtcnn() -> QuickDetector:
    return _settling("mtcnn")


def _settling(name: str) -> QuickDetector:
    detector = build_face_detector(name, Settings())
    assert isinstance(detector, QuickDetector)
    return detector


def _largest(detector: QuickDetector, rgb: Images) -> Face:
    return max(detector.detect(rgb), key=lambda face: longer_side(face.box))


def _elsewhere(detector: QuickDetector, *, settled: bool) -> Edges:
    """(9, 4) boxes of one face on frames of other sizes and at other places, as on the first."""

    def box(rgb: Images) -> Edges:
        face = _largest(detector, rgb)
        return np.array(detector.at_rest(rgb, face.box)[0] if settled else face.box)

    reduced = [
        box(cv2.resize(FRAME, (side, side), interpolation=cv2.INTER_AREA)) * 800 / side
        for side in (800, 700, 600, 500, 400)
    ]
    shifted = [box(np.roll(FRAME, by, axis=1)) - (by, 0, by, 0) for by in (3, 7, 12, 20)]
    return np.array([*reduced, *shifted])


@pytest.mark.parametrize("name", ["mtcnn", "scout"])
def test_a_face_has_the_same_box_wherever_and_however_large_it_stands(name: str) -> None:
    """As the finders leave them, its edges spread by .03 of the face, which is worth .1 of a score."""
    detector = _settling(name)
    loose, at_rest = (
        _elsewhere(detector, settled=settled).std(axis=0) for settled in (False, True)
    )
    assert loose.max() > 0.02 * FACE_PX
    assert at_rest.max() < 0.007 * FACE_PX


def test_two_finders_agree_where_a_face_ends(mtcnn: QuickDetector) -> None:
    other = _settling("scout")
    found = [_largest(finder, FRAME) for finder in (mtcnn, other)]
    apart = np.abs(np.subtract(found[0].box, found[1].box)).max()
    settled = [
        finder.at_rest(FRAME, face.box)[0]
        for finder, face in zip((mtcnn, other), found, strict=True)
    ]
    assert apart > 0.02 * FACE_PX
    assert np.abs(np.subtract(settled[0], settled[1])).max() < 0.01 * FACE_PX


def test_a_mirrored_face_has_its_box_mirrored(mtcnn: QuickDetector) -> None:
    x0, y0, x1, y1 = _largest(mtcnn, FRAME).box
    one, sure = mtcnn.at_rest(FRAME, (x0, y0, x1, y1))
    mirrored = np.ascontiguousarray(FRAME[:, ::-1])
    (m0, n0, m1, n1), as_sure = mtcnn.at_rest(mirrored, (800 - x1, y0, 800 - x0, y1))
    assert one == pytest.approx((800 - m1, n0, 800 - m0, n1), abs=1.5)
    assert sure == pytest.approx(as_sure, abs=0.01)
    assert sure > 0.95


@pytest.mark.parametrize("cut", [0.3, 0.5])
def test_a_face_at_the_edge_of_the_frame_stays_there(mtcnn: QuickDetector, cut: float) -> None:
    x0, y0, x1, y1 = _largest(mtcnn, FRAME).box
    left = round(x0 + cut * (x1 - x0))
    moved = (x0 - left, y0, x1 - left, y1)
    box, _ = mtcnn.at_rest(np.ascontiguousarray(FRAME[:, left:]), moved)
    assert np.abs(np.subtract(box, moved)).max() < 0.25 * FACE_PX


@pytest.mark.parametrize(
    "box",
    [
        (20.0, 20.0, 90.0, 90.0),
        (20.0, 20.0, 24.0, 26.0),
        (-1e7, -1e7, 1e7, 1e7),
        (1e6, 1e6, 2e6, 2e6),
        (-70.0, 30.0, 0.0, 100.0),
    ],
)
def test_of_a_wall_it_is_sure_of_no_face_however_far_the_box_reaches(
    mtcnn: QuickDetector, box: Box
) -> None:
    assert mtcnn.at_rest(FACELESS, box)[1] < 0.1


def test_without_the_wheel_a_face_keeps_its_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scout, "weight_files", lambda: None)
    loose = build_face_detector("scout", Settings())
    assert isinstance(loose, QuickDetector)
    assert not loose.name.endswith("+settled")
    box = (10.0, 20.0, 90.0, 80.0)
    assert loose.at_rest(FRAME, box) == (box, 0.0)


def test_a_quick_look_cuts_as_a_full_search_does(mtcnn: QuickDetector) -> None:
    frames = [np.roll(portrait(150, (800, 800)), by, axis=1) for by in (0, 9)]
    quick, full = QuickSearch(mtcnn), QuickSearch(mtcnn, quick=False)
    boxes = [
        [search.find(rgb, 100 * n)[0].box for n, rgb in enumerate(frames)]
        for search in (quick, full)
    ]
    assert quick.was_quick
    assert not full.was_quick
    assert np.abs(np.subtract(boxes[0][1], boxes[1][1])).max() < 0.007 * 150
