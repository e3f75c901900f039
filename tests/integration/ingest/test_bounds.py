"""What one upload may cost, whatever its sender asks for: looks, faces, crops, all counted."""

from pathlib import Path

import numpy as np
import pytest

from ingest.faces import Face
from ingest.memory_publisher import MemoryPublisher
from ingest.pipeline import ingest_video
from tests.unit.ingest.clips import write_clip
from tests.unit.ingest.faces.test_quick_search import Squares
from unmask.arrays import Images
from unmask.messages import IngestClosed, Submission
from unmask.settings import Settings


class Crowd:
    """A finder that sees sixty people in every picture, at places of their own."""

    weak = False
    name = "crowd@1"

    def detect(self, rgb: Images) -> list[Face]:
        """Sixty faces of 48 px and more."""
        height, width = rgb.shape[:2]
        found = []
        for number in range(60):
            side = 48.0 + 2 * (number % 5)
            x, y = (number % 10) * (width - 60) / 10, (number // 10) * (height - 60) / 6
            found.append(Face(box=(x, y, x + side, y + side), score=0.9, landmarks=None))
        return found


def _grey(count: int, height: int, width: int) -> list[Images]:
    return [np.full((height, width, 3), 40 + n % 120, np.uint8) for n in range(count)]


def ingested(path: Path, sample: str, **limits: object) -> tuple[IngestClosed, MemoryPublisher]:
    publisher = MemoryPublisher()
    submission = Submission.model_validate(
        {
            "job_id": "j",
            "path": str(path),
            "filename": path.name,
            "sample": sample,
            "plugins": (),
            "crop_scale": 1.3,
            **limits,
        }
    )
    closed = ingest_video(
        submission, settings=Settings(), publisher=publisher, face_detector=Crowd()
    )
    return closed, publisher


def test_a_crowd_costs_no_more_faces_than_the_policy_allows_and_the_rest_are_counted(
    tmp_path: Path,
) -> None:
    clip = write_clip(tmp_path / "crowd.mp4", _grey(24, 480, 640))
    closed, publisher = ingested(clip, "all", max_faces=16, max_crops=200)
    assert closed.error is None
    assert closed.crops == len(publisher.crops) == 200
    per_frame = np.bincount([meta.frame_index for meta, _ in publisher.crops.values()])
    assert per_frame.max() <= 16 and per_frame.min() >= 1  # every look keeps room for one
    coverage = closed.coverage
    assert coverage.faces_left_out == coverage.faces_found - coverage.faces_too_small - 200 > 0


def test_more_frames_than_are_allowed_are_looked_at_evenly(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "many.mp4", _grey(600, 64, 96))
    closed, _ = ingested(clip, "all", max_looks=40)
    assert closed.error is None and closed.coverage.looks is not None
    assert closed.coverage.sampled == closed.coverage.looks.budget == 40
    assert closed.coverage.longest_unlooked_ms is not None
    assert closed.coverage.longest_unlooked_ms <= 640


def test_a_crop_is_no_larger_than_its_detectors_need_and_the_verdict_can_say_so(
    tmp_path: Path,
) -> None:
    clip = write_clip(tmp_path / "large.mp4", _grey(2, 480, 640))
    whole, as_they_were = ingested(clip, "all", max_faces=2)
    assert whole.coverage.crop_px is None
    assert {meta.width for meta, _ in as_they_were.crops.values()} == {73}
    small, cut = ingested(clip, "all", max_faces=2, crop_px=64)
    assert small.coverage.crop_px == 64
    for (meta, pixels), (before, _) in zip(
        cut.crops.values(), as_they_were.crops.values(), strict=True
    ):
        assert pixels.shape[:2] == (meta.height, meta.width) == (64, 64)
        assert meta.crop_to_frame[0] == 73 / 64
        assert (meta.face_px, meta.crop_to_frame[2:6:3]) == (
            before.face_px,
            before.crop_to_frame[2:6:3],
        )


@pytest.mark.parametrize("quick", [True, False])
def test_a_verdict_says_how_many_looks_only_confirmed(tmp_path: Path, quick: bool) -> None:
    rgb = np.full((800, 1200, 3), 60, np.uint8)
    rgb[200:500, 300:600] = 255
    clip = write_clip(tmp_path / "still.mp4", [rgb] * 9)
    submission = Submission.model_validate(
        {
            "job_id": "j",
            "path": str(clip),
            "filename": clip.name,
            "sample": "all",
            "plugins": (),
            "crop_scale": 1.3,
        }
    )
    closed = ingest_video(
        submission,
        settings=Settings(quick_looks=quick),
        publisher=MemoryPublisher(),
        face_detector=Squares(),
    )
    assert closed.coverage.scored == 9
    assert closed.coverage.looks_quick == (6 if quick else 0)
