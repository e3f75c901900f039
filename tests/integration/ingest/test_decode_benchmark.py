"""The decode benchmark measures what it says."""

from pathlib import Path

from benchmarks.decode import ceiling_frames, make_clip, measure


def test_both_sides_are_measured_on_the_same_clip(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1, size=(320, 240))
    assert ceiling_frames(clip) == 30
    speed = measure(clip, "uniform:8", rounds=1)
    assert speed.frames == 30
    assert speed.ceiling > 0
    assert 0 < speed.ours < speed.ours_started
    assert speed.ratio == speed.ours / speed.ceiling
