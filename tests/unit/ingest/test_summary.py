"""What ingest says of a track in the end."""

import pytest

from ingest.faces.finders.face import FaceDetector
from ingest.faces.frame_faces import Seen, SeenFace
from ingest.summary import Record
from unmask.messages import PluginRef, Submission


class Nobody:
    """Stands for the detector, of which a summary wants the name alone."""

    name = "nobody"
    weak = False


def record() -> Record:
    submission = Submission(
        job_id="j", path="/a.mp4", filename="a.mp4", crop_scale=1.6,
        plugins=(PluginRef(key="sola", weights="0" * 12),),
    )  # fmt: skip
    detector: FaceDetector = Nobody()  # type: ignore[assignment]
    return Record(submission, detector)


def look(number: int, *tracks: int, sure: float | None = None) -> Seen:
    faces = tuple(
        SeenFace(track_id=track, face_px=100.0, turns=0, doubtful=False, sure=sure)
        for track in tracks
    )
    return Seen(frame_index=number, pts_ms=1000 * number, faces=faces, crops=())


def test_a_face_that_leaves_and_comes_back_was_not_there_in_between() -> None:
    made = record()
    for number, tracks in enumerate([(1,), (1, 2), (2,), (1, 2), (1,)]):
        made.seen(look(number, *tracks))
    first, second = made.closed(0).tracks
    assert first.segments_ms == ((0, 1000), (3000, 4000))
    assert second.segments_ms == ((1000, 3000),)
    assert first.faces == 4


@pytest.mark.parametrize(
    ("sure", "hardly"),
    [((0.66, 0.65, 0.99), False), ((0.66, 0.65, 0.7), True), ((None,), False), ((0.5, None), True)],
)
def test_what_the_finder_is_not_sure_of_throughout_is_hardly_a_face(
    sure: tuple[float | None, ...], hardly: bool
) -> None:
    made = record()
    for number, each in enumerate(sure):
        made.seen(look(number, 1, sure=each))
    assert made.closed(0).tracks[0].hardly_a_face is hardly
