"""The robustness grid over a set of crops whose right answers are known beforehand."""

from pathlib import Path

import numpy as np
import pytest

from detect_plugins.catalogue import load_catalogue
from research.judging.robustness_grid import picked, video_auc
from research.pools.validation_set import CropSet, JudgedCrop
from tests.fakes import BrightnessDetector
from unmask.messages import CropMeta
from unmask.plugin import DetectorManifest

SIDE = 64
FRAMES = 6


def meta(frame: int) -> CropMeta:
    return CropMeta(
        frame_index=frame, pts_ms=40 * frame, face_index=0, track_id=1, width=SIDE, height=SIDE,
        box=(12.0, 12.0, 52.0, 52.0), crop_to_frame=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0), face_px=40.0,
        detector_score=1.0,
    )  # fmt: skip


@pytest.fixture
def crops(tmp_path: Path) -> CropSet:
    """Three dark real clips and three bright forged ones, as found and at crf 23."""
    rng = np.random.default_rng(0)
    lines, pixels = [], b""
    for clip in range(6):
        label = clip % 2
        for quality in ("found", "crf23"):
            for frame in range(FRAMES):
                level = 150 if label else 90
                image = rng.integers(level - 20, level + 20, (SIDE, SIDE, 3), dtype=np.uint8)
                crop = JudgedCrop(
                    clip=f"{clip}.mp4", family="swap" if label else "real", method="x",
                    label=label, people=(f"p{clip}",), quality=quality, meta=meta(frame),
                    offset=len(pixels),
                )  # fmt: skip
                lines.append(crop.model_dump_json())
                pixels += image.tobytes()
    (tmp_path / "crops.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "crops.bin").write_bytes(pixels)
    return CropSet(tmp_path)


@pytest.fixture
def brightness() -> BrightnessDetector:
    # Any manifest serves: the detector reads no more of it than its crop scale.
    manifest: DetectorManifest = load_catalogue().get("efficientnet_fpn").require_manifest()
    return BrightnessDetector(manifest, None)


def test_a_few_frames_of_every_clip_as_found_take_part(crops: CropSet) -> None:
    members = picked(crops, 2)
    assert len(members) == 6 * 2
    assert {member.quality for member in members} == {"found"}
    assert sorted(m.meta.frame_index for m in members if m.clip == "0.mp4") == [1, 4]


def test_a_clip_shorter_than_asked_gives_what_it_has(crops: CropSet) -> None:
    assert len(picked(crops, 50)) == 6 * FRAMES


def test_what_a_distortion_destroys_shows_in_the_grid(
    crops: CropSet, brightness: BrightnessDetector
) -> None:
    members = picked(crops, 2)
    assert video_auc(brightness, crops, members, None, 0) == 1.0
    assert video_auc(brightness, crops, members, "blur", 5) == 1.0  # brightness survives a blur
    inverted = [m.model_copy(update={"label": 1 - m.label}) for m in members]
    assert video_auc(brightness, crops, inverted, None, 0) == 0.0
