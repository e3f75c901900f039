"""Whom of a crowd is judged."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.faces.crop_limit import CropLimit

Crowd = st.dictionaries(st.integers(1, 60), st.floats(48.0, 400.0), max_size=40)


@given(
    frames=st.lists(Crowd, min_size=1, max_size=30),
    per_frame=st.integers(1, 12),
    per_video=st.integers(1, 90),
)
def test_no_frame_and_no_video_has_more_than_its_limit(
    frames: list[dict[int, float]], per_frame: int, per_video: int
) -> None:
    limit = CropLimit(per_frame, per_video)
    limit.plan(len(frames))
    taken = [limit.take(frame) for frame in frames]
    assert all(len(chosen) <= per_frame for chosen in taken)
    assert all(chosen <= set(frame) for chosen, frame in zip(taken, frames, strict=True))
    assert sum(map(len, taken)) <= per_video
    if per_video >= len(frames):  # every look keeps room for one
        assert all(chosen for chosen, frame in zip(taken, frames, strict=True) if frame)


def test_few_faces_are_all_taken() -> None:
    limit = CropLimit(16, 8000)
    limit.plan(32)
    assert limit.take({1: 50.0, 2: 300.0}) == {1, 2}


def test_a_small_face_that_was_followed_stays_beside_large_newcomers() -> None:
    limit = CropLimit(4, 1000)
    limit.plan(20)
    for _ in range(5):
        limit.take({1: 60.0, 2: 62.0})
    crowd = {1: 60.0, 2: 62.0, **{n: 200.0 + n for n in range(3, 12)}}
    assert limit.take(crowd) == {1, 2, 10, 11}
