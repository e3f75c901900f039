"""Both halves of a pair go the same way through the codecs."""

import numpy as np
import pytest
from skimage.data import astronaut

from trainers.synthetic.codec import Passage, draw_passage, h264, passed

PICTURE = np.ascontiguousarray(astronaut()[:181, :183])


def loss(passage: Passage) -> float:
    sent = passed(PICTURE, passage)
    same = PICTURE[: sent.shape[0], : sent.shape[1]]
    return float(np.abs(sent.astype(int) - same).mean())


def test_a_higher_crf_loses_more() -> None:
    low, high = (loss(Passage(kind="h264", quality=q)) for q in (16, 38))
    assert 0 < low < high


def test_a_lower_jpeg_quality_loses_more() -> None:
    assert loss(Passage(kind="jpeg", quality=95)) < loss(Passage(kind="jpeg", quality=40))


def test_no_passage_is_the_identity() -> None:
    assert np.array_equal(passed(PICTURE, Passage(kind="none")), PICTURE)


@pytest.mark.parametrize("frames", [1, 3])
def test_h264_returns_every_frame_in_order(frames: int) -> None:
    even = PICTURE[:180, :182]
    clip = [np.clip(even.astype(int) + 20 * n, 0, 255).astype(np.uint8) for n in range(frames)]
    back = h264(clip, crf=18)
    assert [b.shape for b in back] == [even.shape] * frames
    means = [float(b.mean()) for b in back]
    assert means == sorted(means)


def test_a_drawn_passage_repeats_with_its_seed_and_covers_the_ladder() -> None:
    kinds = {draw_passage(np.random.default_rng(s)).kind for s in range(60)}
    assert kinds == {"h264", "jpeg", "none"}
    assert draw_passage(np.random.default_rng(3)) == draw_passage(np.random.default_rng(3))


def test_a_shrinking_passage_shrinks() -> None:
    assert passed(PICTURE, Passage(kind="jpeg", quality=80, scale=0.5)).shape == (90, 92, 3)


def test_the_same_frames_come_back_the_same_wherever_memory_lies() -> None:
    clip = [np.roll(PICTURE[:142, :142], n, axis=1) for n in (2, 1, 0)]
    clutter, seen = [], set()
    for n in range(12):
        clutter.append(np.ones(10_007 * n, np.uint8))
        seen.add(h264([frame.copy() for frame in clip], crf=16)[-1].tobytes())
    assert len(seen) == 1
