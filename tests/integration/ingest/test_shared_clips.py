"""Ingest on real footage: crowds, many containers, coverage that adds up."""

from pathlib import Path

import pytest

from ingest.faces import build_face_detector
from ingest.memory_publisher import MemoryPublisher
from ingest.pipeline import ingest_video
from unmask.messages import IngestClosed, PluginRef, Submission
from unmask.settings import Settings

pytestmark = pytest.mark.data

SETTINGS = Settings()
SOLA = PluginRef(key="sola", weights="0123456789ab")


def ingested(shared_data: Path, name: str, sample: str = "uniform:32") -> IngestClosed:
    yunet = build_face_detector(f"onnx:{shared_data}/weights/yunet_n_640_640.onnx", SETTINGS)
    publisher = MemoryPublisher()
    closed = ingest_video(
        Submission(
            job_id="job",
            path=str(shared_data / "videos" / "real" / name),
            filename=name,
            sample=sample,
            plugins=(SOLA,),
            crop_scale=1.6,
        ),
        settings=SETTINGS,
        publisher=publisher,
        face_detector=yunet,
    )
    coverage = closed.coverage
    assert closed.error is None
    assert coverage.sampled == coverage.scored + coverage.no_face + coverage.failed
    return closed


def test_the_crowded_clip_gives_six_people_who_stay_themselves(shared_data: Path) -> None:
    closed = ingested(shared_data, "facenet-pytorch-video.mp4")
    lasting = [t for t in closed.tracks if t.faces >= 8]
    assert len(lasting) >= 6
    # False alarms and passers-by do not fill the list.
    assert len(closed.tracks) <= 20


def test_the_classroom_gives_its_four_children(shared_data: Path) -> None:
    closed = ingested(shared_data, "sample-videos-classroom.gif")
    assert sum(t.faces >= 28 for t in closed.tracks) == 4
    assert closed.coverage.faces_too_small == closed.coverage.faces_found


@pytest.mark.parametrize(
    "name",
    [
        "lipnet-bbaf2n.mpg",
        "lia-obama__77ff9fa2.mov",
        "sample-videos-yes.mkv",
        "sample-videos-head-pose-face-detection-female.gif",
        "deepfacelive-Obama__9cd4af22.mp4",
    ],
)
def test_every_container_of_the_data_is_read_whole(shared_data: Path, name: str) -> None:
    closed = ingested(shared_data, name, "uniform:8")
    assert closed.coverage.sampled == 8
    assert closed.coverage.failed == 0
    assert closed.coverage.scored >= 6
