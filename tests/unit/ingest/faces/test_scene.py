"""Cuts that no encoder tells of are seen in the pictures that are looked at anyway."""

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.faces import Face
from ingest.faces.scene import Scene, cuts_between
from ingest.memory_publisher import MemoryPublisher
from ingest.pipeline import ingest_video
from unmask.arrays import Images
from unmask.messages import PluginRef, Submission
from unmask.settings import Settings

Changes = st.lists(st.floats(0, 1.2), min_size=1, max_size=60)


def room(number: int) -> Images:
    """A room's walls and furniture."""
    rng = np.random.default_rng(number)
    return rng.integers(40, 220, (6, 8, 3), dtype=np.uint8).repeat(24, 0).repeat(24, 1)


def shown(walls: Images, step: int) -> Images:
    """Somebody who sways in it, in a light that flickers."""
    x = 60 + round(6 * np.sin(step))
    frame = walls.astype(np.int16)
    frame[30:140, x : x + 70] = 150 + 6 * (step % 3)
    return (frame + 4 * (step % 2)).clip(0, 255).astype(np.uint8)


def changes_of(pictures: list[Images]) -> list[float]:
    scene = Scene()
    return [scene.change(picture) for picture in pictures]


@pytest.mark.parametrize("step_ms", [333, 1000])
def test_drawn_cuts_are_found_and_nothing_else(step_ms: int) -> None:
    pictures = [shown(room(shot), 11 * shot + i) for shot in range(20) for i in range(11)]
    times = [step_ms * i for i in range(len(pictures))]
    assert cuts_between(times, changes_of(pictures), ()) == tuple(times[11::11])


def test_a_camera_that_pans_makes_no_cuts() -> None:
    wide = np.concatenate([room(i) for i in range(3)], axis=1)
    pictures = [np.ascontiguousarray(wide[:, 9 * i : 9 * i + 192]) for i in range(40)]
    assert cuts_between(range(0, 40 * 333, 333), changes_of(pictures), ()) == ()


@given(changes=Changes, told=st.lists(st.integers(0, 20_000), max_size=6, unique=True))
def test_what_the_encoder_told_stays_and_between_two_looks_there_is_one_cut_at_most(
    changes: list[float], told: list[int]
) -> None:
    times = [333 * i for i in range(len(changes))]
    found = cuts_between(times, changes, told)
    assert set(told) <= set(found) and list(found) == sorted(set(found))
    for seen in set(found) - set(told):
        before = times[times.index(seen) - 1]
        assert not any(before < cut <= seen for cut in told)


class Anywhere:
    name, weak = "anywhere", False

    def detect(self, rgb: Images) -> list[Face]:
        return [Face(box=(60, 30, 130, 100), score=0.9)]


def test_cuts_under_regular_key_frames_end_a_shot(tmp_path: Path) -> None:
    """A key frame a second whatever is shown, and each cut at one of them: the encoder tells nothing."""
    path = tmp_path / "regular.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 144, "yuv420p"
        stream.options = {"g": "25", "keyint_min": "25", "sc_threshold": "0", "preset": "ultrafast"}
        for number in range(300):
            frame = av.VideoFrame.from_ndarray(shown(room(number // 100), number), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    closed = ingest_video(
        Submission(
            job_id="job",
            path=str(path),
            filename=path.name,
            sample="adaptive",
            plugins=(PluginRef(key="sola", weights="0" * 12),),
            crop_scale=1.3,
        ),
        settings=Settings(),
        publisher=MemoryPublisher(),
        face_detector=Anywhere(),
    )
    assert len(closed.cuts_ms) == 2
    for found, cut in zip(closed.cuts_ms, (4000, 8000), strict=True):
        assert 0 <= found - cut <= 400  # the next look
