"""`unmask scan` on real videos of the research data, and with all five papers' detectors."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from research.segments.spliced import Stretch, write_video
from tests import stream_servers
from tests.e2e import clips
from tests.e2e.conftest import Installation

ALL_FIVE = "sola,lrl,llsm,focus,efficientnet_fpn"


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_videos_of_every_source_are_judged_and_their_coverage_adds_up(
    shared_data: Path, make_installation: Callable[[str], Installation]
) -> None:
    installation = make_installation("real")
    found = sorted((shared_data / "videos" / "real").glob("*.mp4"))
    # One of each source: file names begin with it. All of them take minutes, and prove no more.
    videos = list({path.name.partition("-")[0]: path for path in found}.values())
    detector = f"onnx:{shared_data / 'weights' / 'yunet_n_640_640.onnx'}"
    done = installation.unmask(
        "scan", *videos, "--json", "out.jsonl", "--sample", "uniform:8",
        UNMASK_FACE_DETECTOR=detector, timeout_s=880,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = _lines(installation.folder / "out.jsonl")
    assert [line["input"] for line in lines] == [str(video) for video in videos]
    for line in lines:
        frames = line["coverage"]
        assert line["job_status"] == "succeeded", line
        assert frames["sampled"] == frames["scored"] + frames["no_face"] + frames["failed"]
    crowded = next(line for line in lines if "facenet-pytorch" in line["input"])
    assert len([track for track in crowded["tracks"] if track["faces"] >= 4]) >= 6


def test_plugins_without_weights_have_their_row_and_do_not_count(
    make_installation: Callable[[str], Installation], tmp_path: Path
) -> None:
    installation = make_installation("five")
    clip = clips.good(tmp_path / "clip.mp4", 8)
    empty = tmp_path / "weights"
    for key in ALL_FIVE.split(","):
        # Shipped bundles are set aside: a folder of this name wins, and its card is no card.
        (empty / key).mkdir(parents=True)
    installation.unmask(
        "scan", clip, "--plugins", f"brightness,{ALL_FIVE}", "--json", "out.jsonl",
        UNMASK_WEIGHTS_DIR=str(empty),
    )  # fmt: skip
    (line,) = _lines(installation.folder / "out.jsonl")
    rows = {row["key"]: row for row in line["plugins"]}
    assert set(rows) == {"brightness", *ALL_FIVE.split(",")}
    assert rows["brightness"]["counts"]
    for key in ALL_FIVE.split(","):
        assert rows[key]["status"] in {"no_weights", "failed"}, rows[key]
        assert not rows[key]["counts"]
        assert rows[key]["reason"]["message"]
    assert [ref["key"] for ref in line["rests_on"]] == ["brightness"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_five_run_untrained_and_the_verdict_is_marked(
    make_installation: Callable[[str], Installation], tmp_path: Path
) -> None:
    installation = make_installation("untrained")
    clip = clips.good(tmp_path / "clip.mp4", 6)
    done = installation.unmask(
        "scan", clip, "--plugins", ALL_FIVE, "--allow-untrained", "--json", "out.jsonl",
        "--sample", "uniform:6",
        UNMASK_ENGINE="torch", UNMASK_BATCH_SIZE="2", timeout_s=580,
    )  # fmt: skip
    (line,) = _lines(installation.folder / "out.jsonl")
    assert {row["key"] for row in line["plugins"]} == set(ALL_FIVE.split(",")), done.stderr
    assert all(row["raw"] is not None for row in line["plugins"]), line["plugins"]
    assert not line["reliable"]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_four_forged_seconds_inside_the_very_same_footage_are_found(
    shared_data: Path, make_installation: Callable[[str], Installation]
) -> None:
    """A lip sync that goes on where the footage stopped, under key frames by the clock: no joint shows.

    A window of five seconds holds real looks beside forged ones wherever it begins, and said nothing.
    """
    name = "diffdub-RD_Radio42_000_25fps_{}.mp4"
    real, forged = f"videos/real/{name.format('gt')}", f"videos/fake/{name.format('wav2lip')}"
    if not all((shared_data / path).is_file() for path in (real, forged)):
        pytest.skip("these clips are not in this copy of the research data")
    installation = make_installation("spliced")
    parts = [
        Stretch(path=real, start_s=0.0, seconds=28.0),
        Stretch(path=forged, start_s=8.0, seconds=4.0),
        Stretch(path=real, start_s=2.0, seconds=28.0),
    ]
    clean = [Stretch(path=real, start_s=0.0, seconds=60.0)]
    for file, made in (("clean.mp4", clean), ("forged.mp4", parts)):
        write_video(installation.folder / file, made, shared_data, by_the_clock=True)
    done = installation.unmask(
        "scan", "clean.mp4", "forged.mp4", "--json", "out.jsonl",
        PYTHONPATH="", UNMASK_PLUGINS="[]", UNMASK_SAMPLE="adaptive", UNMASK_FACE_DETECTOR="auto",
        OMP_NUM_THREADS="1", timeout_s=580,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, after = _lines(installation.folder / "out.jsonl")
    assert before["verdict"] == "no_sign_found" and not before["segments"]
    assert after["verdict"] in ("suspicious", "fake")
    assert any(s["start_ms"] < 32_000 and s["end_ms"] > 28_000 for s in after["segments"])
    assert all(s["start_ms"] >= 23_000 and s["end_ms"] <= 37_000 for s in after["segments"])


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_forgery_behind_a_hard_cut_from_somebody_real_is_found_as_when_alone(
    shared_data: Path, make_installation: Callable[[str], Installation]
) -> None:
    """6.4 s real, then 3.2 s forged at the same place. One track for both said .546 of it."""
    forged = shared_data.parent / "cases" / "forged.mp4"
    reals = [
        shared_data / "videos" / "real" / name
        for name in ("first-order-model-old-04.mp4", "v-express-gt__025d015e.mp4")
    ]
    if not all(path.is_file() for path in (forged, *reals)):
        pytest.skip("these clips are not in this copy of the research data")
    installation = make_installation("cut")
    for number, real in enumerate(reals):
        _one_after_the_other(real, forged, installation.folder / f"{number}.mp4")
    done = installation.unmask(
        "scan", forged, "0.mp4", "1.mp4", "--json", "out.jsonl",
        PYTHONPATH="", UNMASK_PLUGINS="[]", UNMASK_SAMPLE="adaptive", UNMASK_FACE_DETECTOR="auto",
        OMP_NUM_THREADS="1", timeout_s=580,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    alone, *behind = _lines(installation.folder / "out.jsonl")
    assert alone["verdict"] == "suspicious"
    for line in behind:
        assert line["correction"]["people"] == 2
        assert line["verdict"] == "suspicious", line["deciding"]
        assert [s["start_ms"] >= 6400 for s in line["segments"]] == [True], line["segments"]
        # Encoded once more, it is looked at in other frames.
        assert abs(line["p_fake"] - alone["p_fake"]) < 0.05


def _one_after_the_other(real: Path, forged: Path, target: Path) -> None:
    fitted = "fps=25,scale=512:512:force_original_aspect_ratio=decrease,pad=512:512:-1:-1,setsar=1"
    subprocess.run(
        [stream_servers.ffmpeg(), "-loglevel", "error", "-stream_loop", "-1", "-i", str(real),
         "-i", str(forged),
         "-filter_complex", f"[0:v]trim=0:6.4,setpts=PTS-STARTPTS,{fitted}[a];[1:v]{fitted}[b];"
         "[a][b]concat=n=2:v=1[v]",
         "-map", "[v]", "-c:v", "libx264", "-crf", "12", "-preset", "veryfast", str(target)],
        check=True,
    )  # fmt: skip
