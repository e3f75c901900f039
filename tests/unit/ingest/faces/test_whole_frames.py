"""One whole frame per track, for a person to see who it is."""

import cv2
import numpy as np

from ingest.faces.whole_frames import WholeFrames
from tests.unit.workers.making import crop
from unmask.arrays import Images


def picture(level: int, width: int = 1280, height: int = 720) -> Images:
    return np.full((height, width, 3), level, np.uint8)


def opened(jpeg: bytes) -> Images:
    found = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found, np.uint8)


def test_the_frame_in_which_the_face_is_clearly_largest_is_kept() -> None:
    frames = WholeFrames()
    for number, (level, face_px) in enumerate([(10, 60.0), (80, 100.0), (160, 110.0)]):
        frames.look(picture(level), [crop(number, face_px=face_px)])
    # 110 is hardly larger than 100: not worth another picture.
    assert abs(float(opened(frames.kept[1].jpeg).mean()) - 80) < 3
    assert frames.kept[1].meta.frame_index == 1


def test_pictures_are_reduced_and_small_ones_are_left_as_they_are() -> None:
    frames = WholeFrames()
    frames.look(picture(50), [crop(0, track=1)])
    frames.look(picture(50, 320, 240), [crop(1, track=2)])
    sizes = {track: opened(kept.jpeg).shape[:2] for track, kept in frames.kept.items()}
    assert sizes == {1: (360, 640), 2: (240, 320)}


def test_people_on_one_frame_share_it_and_a_crowd_has_a_limit() -> None:
    frames = WholeFrames()
    frames.look(picture(50), [crop(0, track=track, face=track) for track in range(1, 101)])
    assert len(frames.kept) == 64
    assert len({kept.jpeg for kept in frames.kept.values()}) == 1


def test_who_stays_has_a_picture_however_many_passed_by_before() -> None:
    """A video of many shots, or a finder that imagines faces: the pictures were given to the first."""
    frames = WholeFrames()
    staying = [crop(number, track=1) for number in range(5)]
    for number, meta in enumerate(staying):
        frames.look(picture(50), [meta, crop(number, track=2 + number, face=1)])
    for number in range(5, 205):
        frames.look(picture(60), [crop(number, track=2 + number)])
    for number in range(205, 210):
        frames.look(picture(70), [crop(number, track=999)])
    assert {1, 999} <= set(frames.kept)
    assert len(frames.kept) == 64
    assert abs(float(opened(frames.kept[999].jpeg).mean()) - 70) < 3
