"""The JSON lines of a scan, and where reports are put."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from console.show.lines import line, record
from console.show.report_folder import ReportFolder, folder_name
from console.show.wording import could_not_judge
from unmask.errors import ConfigError, ReasonCode
from unmask.messages import JobState, Reason
from unmask.policy import DEFAULT
from unmask.verdict import Verdict, VerdictLabel
from workers.run.local import ScanResult
from workers.run.scan_result import Input

Make = Callable[..., Verdict]
GONE = Reason(code=ReasonCode.NOT_FOUND, message="No such file. Check the path.")


def _outcome(path: str, verdict: Verdict | None, evidence: Path | None = None) -> ScanResult:
    return ScanResult(
        input=Input.of(path),
        job_id="j",
        job_status=JobState.FAILED if verdict is None else JobState.SUCCEEDED,
        verdict=verdict,
        reasons=(GONE,) if verdict is None else verdict.reasons,
        evidence_dir=evidence,
    )


def test_a_failed_input_has_the_same_fields_as_a_judged_one(make_verdict: Make) -> None:
    path = Path("a.mp4")
    judged = record(path, JobState.SUCCEEDED, make_verdict(), (), DEFAULT)
    failed = record(path, JobState.FAILED, None, (GONE,), DEFAULT)
    assert set(judged) == set(failed)
    assert failed["verdict"] == "inconclusive"
    assert failed["p_fake"] is None
    assert failed["job_status"] == "failed"
    assert failed["reasons"] == [{"code": "not_found", "message": GONE.message}]
    assert set(failed["coverage"].values()) == {0, None}


def test_a_line_is_one_line_whatever_the_name() -> None:
    name = "a 'q' \"d\"\n名前 \udcff.mp4"
    text = line(record(Path(name), JobState.FAILED, None, (GONE,), DEFAULT))
    assert text.count("\n") == 1
    found = json.loads(text.encode("utf-8"))
    assert found["input"] == name.replace("\udcff", "\ufffd")


def test_reports_of_equal_names_do_not_overwrite_each_other(
    make_verdict: Make, tmp_path: Path
) -> None:
    delivery = ReportFolder(tmp_path / "out")
    inputs = ["a/clip.mp4", "b/clip.mp4", "c/CLIP.mov"]
    folders = [delivery.add(_outcome(name, make_verdict())) for name in inputs]
    assert len({str(folder).casefold() for folder in folders}) == 3
    assert all(folder and (folder / "report.html").is_file() for folder in folders)
    index = delivery.finish().read_text(encoding="utf-8")
    assert all(f"{folder.name}/report.html" in index for folder in folders if folder)


def test_a_folder_holds_verdict_pictures_and_report(
    make_verdict: Make, evidence_folder: Path, tmp_path: Path
) -> None:
    verdict = make_verdict()
    delivery = ReportFolder(tmp_path / "out")
    folder = delivery.add(_outcome("a.mp4", verdict, evidence_folder))
    assert folder is not None
    assert (folder / "verdict.json").read_text(encoding="utf-8") == verdict.canonical_json()
    for item in verdict.evidence:
        assert (folder / item.face_url).is_file()
        assert (folder / item.heatmap_url).is_file()
    assert (folder / "report.html").read_text(encoding="utf-8").count("data:image/png") == 4


def test_pictures_of_an_earlier_scan_do_not_linger(
    make_verdict: Make, evidence_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ReportFolder(out).add(_outcome("a.mp4", make_verdict(), evidence_folder))
    folder = ReportFolder(out).add(_outcome("a.mp4", make_verdict(evidence=()), evidence_folder))
    assert folder is not None
    assert list((folder / "evidence").iterdir()) == []


def test_a_failed_input_gets_a_line_in_the_index_and_no_folder(tmp_path: Path) -> None:
    delivery = ReportFolder(tmp_path / "out")
    assert delivery.add(_outcome("gone.mp4", None)) is None
    assert GONE.message in delivery.finish().read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.html"]


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--out"):
        ReportFolder(tmp_path / "file" / "out")


@pytest.mark.parametrize(
    "name", ["../../x.mp4", "a/b.mp4", "con\0.mp4", "x" * 300, ".mp4", "a\n.mp4"]
)
def test_a_folder_name_is_one_harmless_name(name: str) -> None:
    found = folder_name(Path(name))
    assert found
    assert Path(found).name == found
    assert len(found) <= 80
    assert found.isprintable()


@pytest.mark.parametrize(
    ("state", "label", "code", "technical"),
    [
        (JobState.SUCCEEDED, VerdictLabel.FAKE, None, False),
        (JobState.SUCCEEDED, VerdictLabel.INCONCLUSIVE, ReasonCode.NO_FACE, False),
        (JobState.SUCCEEDED, VerdictLabel.INCONCLUSIVE, ReasonCode.TOO_FEW_FRAMES, False),
        (JobState.SUCCEEDED, VerdictLabel.INCONCLUSIVE, ReasonCode.NO_WEIGHTS, True),
        (JobState.SUCCEEDED, VerdictLabel.INCONCLUSIVE, ReasonCode.PLUGIN_FAILED, True),
        (JobState.SUCCEEDED, VerdictLabel.NO_SIGN_FOUND, ReasonCode.NO_WEIGHTS, False),
        (JobState.FAILED, None, ReasonCode.TRUNCATED, True),
    ],
)
def test_the_exit_code_tells_technical_faults_from_empty_videos(
    make_verdict: Make,
    state: JobState,
    label: VerdictLabel | None,
    code: ReasonCode | None,
    technical: bool,
) -> None:
    reasons = (Reason(code=code, message="."),) if code else ()
    verdict = make_verdict(verdict=label, reasons=reasons) if label else None
    assert could_not_judge(state, verdict) is technical
