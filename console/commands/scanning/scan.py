"""`unmask scan`: judge files on this machine, and say so on a terminal, as JSON and as reports."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from console.commands.scanning.inputs import Inputs, done_before
from console.show import explain, wording
from console.show.lines import line, opened_lines, record, shown_path
from console.show.report_folder import ReportFolder
from ingest.decoding.sampling import parse_policy
from unmask.errors import ConfigError
from unmask.settings import Settings
from unmask.system import logs
from unmask.verdict import VerdictLabel
from workers.run import local

_COLOURS = {
    VerdictLabel.FAKE: "bold red",
    VerdictLabel.SUSPICIOUS: "yellow",
    VerdictLabel.NO_SIGN_FOUND: "green",
    VerdictLabel.INCONCLUSIVE: "dim",
}
_FACTS = "  {:>6}  {:>5}  "
_HEAD = f"{'verdict':<13}" + _FACTS.format("p_fake", "faces") + "video, and why or where"
_PHASES = {"ingest": "looking for faces", "score": "scoring", "verdict": "making the verdict"}


def run_scan(
    arguments: Sequence[str],
    settings: Settings,
    *,
    json_path: Path | None,
    out: Path | None,
    allow_untrained: bool,
    recursive: bool = False,
    jobs: int = 2,
    skip_done: bool = False,
    embed_clips: bool = False,
) -> int:
    """Judge every input in order; 1 where some could not be judged for a technical reason."""
    # Bars and tables share the terminal with the log: warnings only, unless more was asked for.
    quiet = {} if "log_level" in settings.model_fields_set else {"log_level": "warning"}
    settings = settings.model_copy(update=quiet)
    logs.configure(settings)
    parse_policy(settings.sample)
    to_stdout = json_path is not None and str(json_path) == "-"
    if skip_done and (json_path is None or to_stdout):
        raise ConfigError(
            "--skip-done needs the lines of the earlier run.",
            fix="Add --json FILE, as in that run.",
        )
    done = done_before(json_path) if skip_done and json_path else frozenset()
    inputs = Inputs(arguments, settings, recursive=recursive, done=done)
    # Standard output belongs to the JSON where that was asked for.
    console = Console(stderr=to_stdout)
    if embed_clips and out is None:
        raise ConfigError("--embed-clips without reports.", fix="Add --out FOLDER.")
    clips = settings if embed_clips else None
    delivery = ReportFolder(out, keep=skip_done, clips=clips) if out is not None else None
    unjudged, said, judged = False, "", 0
    with (
        closing(inputs),
        _lines(json_path, add=skip_done) as lines,
        local.LocalPipeline(
            settings, settings.plugins, allow_untrained=allow_untrained, side_by_side=jobs
        ) as pipeline,
        _bars() as bars,
    ):
        tasks: dict[int, TaskID] = {}
        # Where bars and results share a terminal, one console knows of both.
        shared = console.is_terminal and bars.console.is_terminal
        results = bars.console if shared else console
        results.print(_HEAD, style="dim", highlight=False, soft_wrap=True)
        try:
            for outcome in pipeline.judge_all(inputs, _shower(bars, tasks)):
                unjudged |= wording.could_not_judge(outcome.job_status, outcome.verdict)
                judged += 1
                if lines is not None:
                    values = record(
                        outcome.input.shown,
                        outcome.job_status,
                        outcome.verdict,
                        outcome.reasons,
                        pipeline.policy,
                    )
                    lines.write(line(values))
                    lines.flush()
                folder = delivery.add(outcome) if delivery is not None else None
                results.print(_row(outcome, folder), highlight=False, soft_wrap=True)
                results.file.flush()
                said = said or (explain.worth(outcome.verdict) if outcome.verdict else "")
        except KeyboardInterrupt:
            # Before anything is waited for: what was begun takes a moment to end.
            under_way = [
                bars.tasks[bars.task_ids.index(task)].description for task in tasks.values()
            ]
            bars.stop()
            bars.console.print(
                _stopped(judged, under_way, json_path), highlight=False, soft_wrap=True
            )
            raise
    if said:
        console.print(said, style="dim", highlight=False)
    for count, what in ((inputs.left_out, "judged before"), (inputs.passed_over, "no media")):
        if count:
            console.print(f"Passed over {count} files: {what}.", style="dim", highlight=False)
    if delivery is not None:
        console.print(f"\nReports: [bold]{delivery.finish()}[/]", highlight=False, soft_wrap=True)
    return int(unjudged)


def _lines(path: Path | None, *, add: bool) -> AbstractContextManager[TextIO | None]:
    if path is None:
        return nullcontext()
    return nullcontext(sys.stdout) if str(path) == "-" else opened_lines(path, add=add)


def _bars() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("[dim]{task.fields[phase]}[/]"),
        console=Console(stderr=True),
        transient=True,
    )


def _shower(bars: Progress, tasks: dict[int, TaskID]) -> local.OnEvent:
    """A bar for each video under way; the finished ones make room."""

    def show(event: local.Progress) -> None:
        if event.phase == "done":
            if event.index in tasks:
                bars.remove_task(tasks.pop(event.index))
            return
        if event.index not in tasks:
            name = shown_path(event.input.name)
            tasks[event.index] = bars.add_task(escape(name), phase="")
        final = event.phase != "ingest" and event.total > 0
        bars.update(
            tasks[event.index],
            total=event.total if final else None,
            completed=event.scored,
            phase=_phase(event),
        )

    return show


def _phase(event: local.Progress) -> str:
    said = _PHASES.get(event.phase, event.phase)
    return f"{said}, {event.sampled} frames" if event.phase == "ingest" else said


def _stopped(judged: int, under_way: Sequence[str], json_path: Path | None) -> str:
    """What Ctrl-C leaves behind, and how to go on."""
    said = f"Stopping. {judged} judged"
    if under_way:
        said += f"; not finished: {', '.join(under_way)}"
    if json_path is not None and str(json_path) != "-":
        return f"{said}. To go on: the same command with --skip-done."
    return f"{said}."


def _row(outcome: local.ScanResult, folder: Path | None) -> Text:
    """One line that no one breaks: paths stand last, whole, so that they can be copied."""
    verdict = outcome.verdict
    reason = outcome.reasons[0].message if outcome.reasons else ""
    name = shown_path(outcome.input.shown)
    if verdict is None:
        return Text.assemble(
            (f"{'failed':<13}", "bold magenta"), _FACTS.format("–", "–"), name, "  ", reason
        )
    label = (f"{verdict.verdict.value:<13}", _COLOURS[verdict.verdict])
    facts = _FACTS.format(wording.probability(verdict.p_fake), verdict.people())
    where = str(folder / "report.html") if folder is not None else ""
    said = [reason if verdict.p_fake is None else where]
    if not verdict.reliable:
        said.insert(0, "(not to be relied on)")
    return Text.assemble(label, facts, name, *(f"  {part}" for part in said if part))
