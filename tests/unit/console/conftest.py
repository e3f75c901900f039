"""Verdicts made by hand, for what is drawn from them."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from unmask.errors import ReasonCode
from unmask.messages import Coverage, MediaInfo, PluginRef, Reason
from unmask.policy import DEFAULT
from unmask.verdict import (
    Evidence,
    FramePoint,
    Named,
    PluginRow,
    PluginStatus,
    TrackVerdict,
    Verdict,
    VerdictLabel,
)


@pytest.fixture(scope="session")
def make_verdict() -> Callable[..., Verdict]:
    """Build a plausible verdict; keyword arguments override its fields."""

    def build(**changes: object) -> Verdict:
        seen = tuple(
            FramePoint(frame_index=10 * i, pts_ms=400 * i, p=round(0.55 + 0.4 * np.sin(i / 4), 5))
            for i in range(24)
            if not 9 <= i < 12
        )
        base = Verdict(
            verdict=VerdictLabel.FAKE,
            p_fake=0.91,
            calibrated=True,
            reliable=True,
            reasons=(
                Reason(
                    code=ReasonCode.WEAK_FACE_DETECTOR,
                    message="Faces were found with Haar cascades, which miss turned faces. Set "
                    "UNMASK_FACE_DETECTOR=onnx:PATH.",
                ),
            ),
            media=MediaInfo(
                sha256="ab" * 32,
                size_bytes=2_345_678,
                container="mov",
                codec="h264",
                width=1280,
                height=720,
                duration_ms=10_000,
                frame_rate=29.97,
            ),
            face_detector="haar-frontal",
            policy=DEFAULT.used(),
            aggregation=Named(name="top-half-mean", version="1"),
            combination=Named(name="single", version="1"),
            coverage=Coverage(
                decoded=300, sampled=32, scored=27, no_face=4, failed=1, faces_found=40,
                faces_too_small=3, faces_scored=37,
            ),
            tracks=(
                TrackVerdict(
                    id=1, status="judged", p_fake=0.91,
                    segments_ms=((0, 3200), (4800, 9200)), faces=21, median_face_px=212.0,
                    timeline=seen,
                ),
                TrackVerdict(
                    id=2, status="judged", p_fake=0.12, segments_ms=((2000, 9600),), faces=12,
                    median_face_px=96.0,
                    timeline=tuple(
                        FramePoint(frame_index=60 + 19 * i, pts_ms=2000 + 630 * i, p=0.1 + 0.01 * i)
                        for i in range(12)
                    ),
                ),
                TrackVerdict(
                    id=3, status="insufficient", p_fake=None, segments_ms=((100, 500),), faces=2,
                    median_face_px=41.0, timeline=(),
                    reason=Reason(code=ReasonCode.FACE_TOO_SMALL, message="Median face is 41 px."),
                ),
            ),
            evidence=tuple(
                Evidence(
                    track_id=1, frame_index=frame, pts_ms=40 * frame, box=(0.4, 0.2, 0.6, 0.6),
                    crop_box=(0.35, 0.1, 0.65, 0.7), plugin="sola", p=0.95,
                    face_url=f"evidence/f{frame}-face.png", heatmap_url=f"evidence/f{frame}-map.png",
                    caption="Where neighbouring regions disagree.",
                )
                for frame in (60, 70)
            ),
            plugins=(
                PluginRow(
                    key="sola", version="1.0.0", weights_sha256="cd" * 32, engine="openvino-bf16",
                    status=PluginStatus.SCORED, counts=True, raw=0.88, p_fake=0.91, calibrated=True,
                ),
                PluginRow(
                    key="lrl", version="1.0.0", weights_sha256=None, engine=None,
                    status=PluginStatus.NO_WEIGHTS, counts=False, raw=None, p_fake=None,
                    calibrated=False,
                    reason=Reason(code=ReasonCode.NO_WEIGHTS, message="lrl has no trained weights."),
                ),
            ),
            rests_on=(PluginRef(key="sola", weights="cd" * 6),),
        )  # fmt: skip
        return base.model_copy(update=changes)

    return build


@pytest.fixture
def evidence_folder(tmp_path: Path) -> Path:
    """PNGs under the names that the hand-made verdict uses."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    ramp = np.tile(np.linspace(0, 255, 128, dtype=np.uint8), (128, 1))
    for frame in (60, 70):
        cv2.imwrite(str(folder / f"f{frame}-face.png"), ramp)
        cv2.imwrite(str(folder / f"f{frame}-map.png"), cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO))
    return folder
