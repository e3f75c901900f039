"""What `unmask scan` prints of each video, and what it says when it is stopped."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from console.commands.scanning.scan import _row, _stopped
from unmask.errors import ReasonCode
from unmask.messages import JobState, Reason
from unmask.verdict import Verdict
from workers.run.scan_result import Input, ScanResult


def _printed(outcome: ScanResult, folder: Path | None, width: int) -> str:
    file = StringIO()
    Console(file=file, width=width).print(_row(outcome, folder), highlight=False, soft_wrap=True)
    return file.getvalue()


@pytest.mark.parametrize("width", [20, 80])
def test_a_long_path_is_never_broken(make_verdict: Callable[..., Verdict], width: int) -> None:
    path = Path("clips") / ("a very long name " * 12 + ".mp4")
    folder = Path("out") / ("x" * 150)
    outcome = ScanResult(
        input=Input(shown=path, media=path), job_id="a", job_status=JobState.SUCCEEDED,
        verdict=make_verdict(), reasons=(), evidence_dir=None,
    )  # fmt: skip
    (line,) = _printed(outcome, folder, width).splitlines()
    assert line.startswith("fake             0.91      3  clips/a very")
    assert line.endswith(f"{path}  {folder / 'report.html'}")


def test_what_failed_says_why() -> None:
    reason = Reason(code=ReasonCode.TRUNCATED, message="The file ends early.")
    outcome = ScanResult(
        input=Input(shown="[bold]a.mp4", media="a.mp4"), job_id="a", job_status=JobState.FAILED,
        verdict=None, reasons=(reason,), evidence_dir=None,
    )  # fmt: skip
    assert _printed(outcome, None, 80).split("  ")[-2:] == [
        "[bold]a.mp4",
        "The file ends early.\n",
    ]


def test_ctrl_c_says_what_is_left_and_how_to_go_on() -> None:
    said = _stopped(2, ["b.mp4"], Path("out.jsonl"))
    assert "2 judged; not finished: b.mp4" in said and "--skip-done" in said
    assert "--skip-done" not in _stopped(0, [], Path("-"))
