"""`unmask rescan`: judge an archive anew, on as many machines as Ray has, and say what has changed."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from console.commands.scanning.inputs import Inputs, done_before
from console.show import wording
from console.show.lines import line, opened_lines, record, shown_path
from unmask.errors import ConfigError
from unmask.messages import JobState
from unmask.settings import Settings
from unmask.system import logs
from workers.run.local import LocalPipeline
from workers.run.on_ray import judge_on_ray
from workers.run.scan_result import Input
from workers.store import Store
from workers.store.pages.job_search import JobQuery

_PAGE = 200
_SHOWN = 20
Labels = dict[str, str]
"""Shown name of an input -> the label of its earlier verdict."""


@dataclass
class Stored:
    """Media of a tenant's judged jobs, by job id, the newest first. Iterate once."""

    store: Store
    tenant: str
    done: frozenset[str] = frozenset()
    before: Labels = field(default_factory=dict)
    """Filled as the iteration goes."""
    gone: int = 0
    """Jobs whose media is not kept any more, or was fetched from an address."""

    def __iter__(self) -> Iterator[Input]:
        cursor = None
        while True:
            asked = JobQuery(
                tenant=self.tenant, state=JobState.SUCCEEDED, limit=_PAGE, cursor=cursor
            )
            page = self.store.search.page(asked)
            for row in page.jobs:
                if row.id in self.done:
                    continue
                if not Path(row.path).is_file():
                    self.gone += 1
                    continue
                if row.headline is not None:
                    self.before[row.id] = row.headline.verdict.value
                yield Input(shown=row.id, media=Path(row.path))
            if (cursor := page.next_cursor) is None:
                return


@dataclass
class Changes:
    """Labels before and now."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, name: str, before: str, now: str) -> None:
        """One input that was judged earlier."""
        self.counts[before, now] += 1
        if before != now:
            self.changed.append((name, before, now))

    def show(self, console: Console) -> None:
        """A row per pair of labels, then the first inputs that changed."""
        if not self.counts:
            console.print("None of these was judged in the earlier run, by their names.")
            return
        table = Table("before", "now", "videos", title="What the verdicts say, before and now")
        for (before, now), count in sorted(self.counts.items()):
            table.add_row(before, now, str(count), style="" if before == now else "bold")
        console.print(table)
        for name, before, now in self.changed[:_SHOWN]:
            console.print(f"{name}: {before} -> {now}", markup=False, soft_wrap=True)
        if len(self.changed) > _SHOWN:
            console.print(f"and {len(self.changed) - _SHOWN} more: they are in the lines.")


def run_rescan(
    arguments: Sequence[str],
    settings: Settings,
    *,
    json_path: Path,
    against: Path | None,
    stored: bool,
    tenant: str,
    recursive: bool,
    workers: int,
    address: str | None,
    skip_done: bool,
    allow_untrained: bool,
) -> int:
    """Judge all of it; 1 where some could not be judged for a technical reason."""
    if stored == bool(arguments):
        raise ConfigError(
            "name what to judge: files and folders, or --stored.",
            fix="unmask rescan FOLDER --recursive --json new.jsonl, or unmask rescan --stored ...",
        )
    if "-" in arguments:
        raise ConfigError("standard input is one video.", fix="Use unmask scan -.")
    quiet = {} if "log_level" in settings.model_fields_set else {"log_level": "warning"}
    settings = settings.model_copy(update=quiet)
    logs.configure(settings)
    # Says what is wrong with plugins, weights or policy before anything is started.
    policy = LocalPipeline(settings, settings.plugins, allow_untrained=allow_untrained).policy
    done = done_before(json_path) if skip_done else frozenset()
    before = labels_of(against) if against is not None else {}
    console, changes, unjudged = Console(), Changes(), False
    with ExitStack() as stack:
        inputs: Stored | Inputs
        if stored:
            store = Store(settings.database())
            stack.callback(store.close)
            inputs = Stored(store, tenant, done, before)
        else:
            inputs = stack.enter_context(
                closing(Inputs(arguments, settings, recursive=recursive, done=done))
            )
        lines = stack.enter_context(opened_lines(json_path, add=skip_done))
        # Names alone, so that all are counted; media is opened by whoever judges it.
        named = list(inputs)
        bar = stack.enter_context(_bar())
        task = bar.add_task("judging", total=len(named))
        outcomes = judge_on_ray(
            named, settings, workers=workers, address=address, allow_untrained=allow_untrained
        )
        for outcome in outcomes if named else ():
            unjudged |= wording.could_not_judge(outcome.job_status, outcome.verdict)
            name = shown_path(outcome.input.shown)
            values = record(name, outcome.job_status, outcome.verdict, outcome.reasons, policy)
            lines.write(line(values))
            lines.flush()
            if name in before:
                changes.add(name, before[name], values["verdict"])
            bar.advance(task)
    if before:
        changes.show(console)
    if isinstance(inputs, Stored) and inputs.gone:
        console.print(f"Passed over {inputs.gone} jobs: their media is not kept.", style="dim")
    console.print(f"{len(named)} videos: {json_path}", highlight=False, soft_wrap=True)
    return int(unjudged)


def labels_of(path: Path) -> Labels:
    """Input -> label, of the lines that `scan` or `rescan` wrote. Raises ConfigError for others."""
    try:
        rows = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
        return {row["input"]: row["verdict"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--against {path}: {error}.", fix="Name a file that scan or rescan --json wrote."
        ) from error


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
