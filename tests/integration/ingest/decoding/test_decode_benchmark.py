"""The benchmarks of decoding and of finding faces measure what they say."""

from pathlib import Path

import pytest

from benchmarks import finding
from benchmarks.ceilings import shared
from benchmarks.decode import ceiling_frames, make_clip, measure
from tests.unit.ingest.clips import portrait, write_clip
from unmask.settings import Settings


def test_both_sides_are_measured_on_the_same_clip(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1, size=(320, 240))
    assert ceiling_frames(clip) == 30
    speed = measure(clip, "uniform:8", rounds=1)
    assert speed.frames == 30
    assert speed.ceiling > 0
    assert 0 < speed.ours < speed.ours_started
    assert speed.ratio == speed.ours / speed.ceiling


def test_finding_is_measured_a_frame_and_a_face(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [portrait(110)] * 6)
    settings = Settings(face_detector="mtcnn", data_dir=tmp_path)
    speed = finding.measure(clip, "uniform:3", rounds=1, settings=settings)
    assert (speed.detector, speed.frames, speed.faces) == ("mtcnn@1.0.0+settled", 3, 3)
    assert speed.faces_per_core_s == pytest.approx(1000 / speed.core_ms_a_frame)


def test_stages_that_share_cores_reach_less_than_the_slowest_alone() -> None:
    assert shared(100.0, 100.0) == 50.0
    assert shared(90.0, 200.0, 50.0) < 50.0
    assert shared(90.0) == pytest.approx(90.0)
