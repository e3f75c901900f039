"""Progress that several threads tell of."""

from workers.run.scan_result import Input, Progress


def test_what_a_slower_thread_saw_takes_nothing_back() -> None:
    scored = Progress(input=Input.of("a.mp4"), index=0, phase="ingest").after(
        phase="verdict", sampled=8, scored=16, total=16
    )
    late = scored.after(phase="score", sampled=8, total=16).after(scored=15)
    assert late == scored
    assert late.after(phase="done").phase == "done"
