"""The whole way of a video in one process, with real decoding and a real face detector."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import psutil
import pytest

from tests.fakes import KEY, install_brightness
from tests.integration.workers.clips import SIZE, pan, wall
from unmask.errors import PluginBroken, ReasonCode
from unmask.messages import JobState
from unmask.settings import Settings
from unmask.verdict import PluginStatus, Verdict, VerdictLabel
from workers.run.local import LocalPipeline, Progress, ScanResult
from workers.run.supervisor import environment


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        face_detector="haar",
        sample="uniform:8",
        data_dir=tmp_path / "data",
        redis_url=None,
        database_url=None,
        plugins=(KEY,),
        weights_dir=None,
    )


def judge(settings: Settings, *paths: Path, **options: object) -> list[ScanResult]:
    with LocalPipeline(settings, **options) as pipeline:  # type: ignore[arg-type]
        return list(pipeline.judge_all(paths))


def verdict_of(outcome: ScanResult) -> Verdict:
    assert outcome.verdict is not None, outcome.reasons
    return outcome.verdict


def test_a_clip_of_a_face_becomes_a_verdict_with_evidence(
    site: Path, settings: Settings, tmp_path: Path
) -> None:
    clip = pan(tmp_path / "ä 'quoted' \".mp4")
    with LocalPipeline(settings) as pipeline:
        [outcome] = pipeline.judge_all([clip])
        verdict = verdict_of(outcome)
        assert outcome.job_status is JobState.SUCCEEDED
        assert verdict.p_fake is not None and verdict.calibrated
        assert verdict.plugins[0].engine == "own-fp32+mirror"
        coverage = verdict.coverage
        assert coverage.sampled == 8
        assert coverage.sampled == coverage.scored + coverage.no_face + coverage.failed
        assert len(verdict.evidence) >= 2
        assert outcome.evidence_dir is not None
        for each in verdict.evidence:
            face, overlay = (
                cv2.imread(str(outcome.evidence_dir / url.removeprefix("evidence/")))
                for url in (each.face_url, each.heatmap_url)
            )
            assert face.shape == overlay.shape
            assert (face != overlay).any()
            x0, y0, x1, y1 = each.crop_box
            assert x0 < each.box[0] < each.box[2] < x1
            assert y0 < each.box[1] < each.box[3] < y1
            assert abs((x1 - x0) * SIZE - face.shape[1]) < 1.0
    assert not outcome.evidence_dir.exists()


def test_the_same_file_twice_gives_the_same_bytes_alone_or_in_company(
    site: Path, settings: Settings, tmp_path: Path
) -> None:
    clip, other = pan(tmp_path / "a.mp4"), pan(tmp_path / "b.mp4", start=11, brightness=0.7)
    [alone] = judge(settings, clip)
    among = judge(settings, other, clip, clip)
    texts = {verdict_of(outcome).canonical_json() for outcome in (alone, *among[1:])}
    assert len(texts) == 1
    assert verdict_of(among[0]).p_fake != verdict_of(alone).p_fake


def test_one_bad_input_stops_nothing_and_outcomes_keep_the_order(
    site: Path, settings: Settings, tmp_path: Path
) -> None:
    clip = pan(tmp_path / "a.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("this is no video")
    outcomes = judge(settings, tmp_path / "gone.mp4", clip, text, wall(tmp_path / "wall.mp4"), clip)
    assert [outcome.input.name for outcome in outcomes] == [
        "gone.mp4",
        "a.mp4",
        "text.mp4",
        "wall.mp4",
        "a.mp4",
    ]
    assert [outcome.job_status.value for outcome in outcomes] == [
        "failed",
        "succeeded",
        "failed",
        "succeeded",
        "succeeded",
    ]
    assert outcomes[0].reasons[0].code is ReasonCode.NOT_FOUND
    assert outcomes[2].reasons[0].code is ReasonCode.UNSUPPORTED_MEDIA
    faceless = verdict_of(outcomes[3])
    assert faceless.verdict is VerdictLabel.INCONCLUSIVE
    assert faceless.reasons[0].code is ReasonCode.NO_FACE
    assert faceless.p_fake is None


def test_no_engine_is_built_for_inputs_without_a_face(
    site: Path, settings: Settings, tmp_path: Path
) -> None:
    with LocalPipeline(settings) as pipeline:
        outcomes = list(pipeline.judge_all([tmp_path / "gone.mp4", wall(tmp_path / "wall.mp4")]))
        assert pipeline.engines == {KEY: None}
        pipeline.wait_ready()
        assert pipeline.engines == {KEY: "own-fp32+mirror"}
    assert [outcome.job_status.value for outcome in outcomes] == ["failed", "succeeded"]


def test_progress_rises_to_all_answered_and_ends_with_done(
    site: Path, settings: Settings, tmp_path: Path
) -> None:
    events: list[Progress] = []
    with LocalPipeline(settings) as pipeline:
        [outcome] = pipeline.judge_all([pan(tmp_path / "a.mp4")], events.append)
    assert events[-1].phase == "done"
    assert events[-1].sampled == 8
    assert events[-1].scored == events[-1].total == verdict_of(outcome).coverage.faces_scored
    order = ["ingest", "score", "verdict", "done"]
    phases = [order.index(event.phase) for event in events]
    assert phases == sorted(phases)
    assert [event.sampled for event in events] == sorted(event.sampled for event in events)


def test_without_trained_weights_the_verdict_says_so_and_with_leave_it_is_not_reliable(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    bundle = install_brightness(folder)
    for file in bundle.iterdir():
        file.unlink()
    monkeypatch.syspath_prepend(str(folder))
    clip = pan(tmp_path / "a.mp4")
    [without] = judge(settings, clip)
    assert verdict_of(without).p_fake is None
    assert without.reasons[0].code is ReasonCode.NO_WEIGHTS
    assert verdict_of(without).plugins[0].status is PluginStatus.NO_WEIGHTS
    [allowed] = judge(settings, clip, allow_untrained=True)
    assert verdict_of(allowed).p_fake is not None
    assert not verdict_of(allowed).reliable
    assert ReasonCode.UNTRAINED_WEIGHTS in {reason.code for reason in allowed.reasons}


def test_a_bundle_card_that_is_garbage_is_shown_in_its_row_and_the_job_succeeds(
    site: Path, settings: Settings, tmp_path: Path
) -> None:
    card = site / "brightness_plugin" / "bundle" / "bundle.json"
    card.write_text(json.dumps({"format": 1}))
    [outcome] = judge(settings, pan(tmp_path / "a.mp4"))
    row = verdict_of(outcome).plugins[0]
    assert row.status is PluginStatus.FAILED
    assert row.reason is not None and row.reason.code is ReasonCode.BUNDLE_REFUSED
    assert verdict_of(outcome).p_fake is None


def test_an_unknown_plugin_is_refused_before_anything_is_started(
    site: Path, settings: Settings
) -> None:
    with pytest.raises(PluginBroken, match="no such plugin"):
        LocalPipeline(settings, plugins=["nonsense"])


_KILLED = """
import os, signal, sys
from pathlib import Path
from unmask.settings import Settings
from unmask.system import logs
from workers.run.local import LocalPipeline
logs.configure(Settings())
with LocalPipeline(Settings()) as pipeline:
    [outcome] = pipeline.judge_all([Path(sys.argv[1])])
    print(outcome.evidence_dir, len(list(outcome.evidence_dir.iterdir())), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_scan_leaves_no_picture_of_a_face_behind(
    site: Path, settings: Settings, tmp_path: Path
) -> None:
    path = os.pathsep.join([str(site), str(Path(__file__).resolve().parents[4])])
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(pan(tmp_path / "a.mp4"))],
        env={**environment(settings), "PYTHONPATH": path},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    folder, pictures = done.stdout.decode().rsplit(maxsplit=1)
    assert int(pictures) >= 2
    deadline = time.monotonic() + 60
    while Path(folder).exists():
        assert time.monotonic() < deadline, f"{folder} is still there"
        time.sleep(0.05)


def test_leaving_in_the_middle_leaves_no_server_and_no_thread_waiting(
    site: Path, settings: Settings, tmp_path: Path
) -> None:
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    clips = [pan(tmp_path / f"{i}.mp4", start=i) for i in range(4)]
    with LocalPipeline(settings) as pipeline:
        next(iter(pipeline.judge_all(clips)))
    after = [
        p
        for p in psutil.Process().children(recursive=True)
        if p.pid not in before and p.is_running()
    ]
    assert [p.name() for p in after if "redis" in p.name()] == []
