"""`unmask jobs` and `unmask dead`: what an operator sees of the queue, and does to it."""

import json as json_format
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from redis import Redis
from rich.console import Console
from rich.table import Table

from unmask.errors import ConfigError
from unmask.frozen import Frozen
from unmask.messages import JobState
from unmask.settings import Settings
from workers.broker.connect import connect
from workers.jobs import dead_letters
from workers.jobs.orders.cancel import cancel
from workers.jobs.orders.operate import retry
from workers.store import JobRow, Store


def run_jobs_list(settings: Settings, *, state: str | None, limit: int, as_json: bool) -> None:
    """The newest jobs, with why they wait or failed. Raises ConfigError for an unknown state."""
    if state is not None and state not in [each.value for each in JobState]:
        raise ConfigError(
            f"no job is ever {state!r}.", fix=f"Use one of: {', '.join(s.value for s in JobState)}."
        )
    with _store(settings) as store:
        rows = store.jobs(limit=limit, state=None if state is None else JobState(state))
    if as_json:
        for row in rows:
            sys.stdout.write(json_format.dumps(_shown(row)) + "\n")
        return
    table = Table("job", "state", "since", "file", "why", box=None, header_style="bold")
    for row in rows:
        why = row.reasons[0] if row.reasons else None
        table.add_row(
            row.id,
            row.state.value + (" (waits)" if why and row.state.is_open else ""),
            row.updated_at[:19].replace("T", " "),
            row.filename,
            f"{why.code.value}: {why.message}" if why else "",
        )
    Console().print(table)


def run_jobs_show(settings: Settings, job_id: str) -> None:
    """One job as JSON: what was asked for, how far it is, why it waits or failed."""
    with _store(settings) as store:
        row = store.job(job_id)
    if row is None:
        raise ConfigError(f"no job {job_id!r}.", fix="`unmask jobs list` lists them.")
    sys.stdout.write(json_format.dumps(_shown(row), indent=2) + "\n")


def run_jobs_retry(settings: Settings, job_ids: list[str]) -> None:
    """Try jobs again; one line for each."""
    with _store(settings) as store, _redis(settings) as redis:
        for job_id in job_ids:
            row = retry(store, redis, settings, job_id)
            typer.echo(f"{row.id} {row.state.value} generation {row.generation}")


def run_jobs_cancel(settings: Settings, job_ids: list[str]) -> None:
    """Cancel jobs; one line for each. Raises ConfigError for one that cannot be."""
    with _store(settings) as store, _redis(settings) as redis:
        for job_id in job_ids:
            if not cancel(store, redis, job_id):
                raise ConfigError(
                    f"job {job_id!r} is over, or there is none.",
                    fix="Only a queued or running job can be cancelled: `unmask jobs list`.",
                )
            typer.echo(f"{job_id} cancelled")


def run_dead_list(settings: Settings, *, limit: int, as_json: bool) -> None:
    """The newest dead letters."""
    with _redis(settings) as redis:
        found = dead_letters.dead_letters(redis, limit)
    if as_json:
        for letter in found:
            sys.stdout.write(letter.model_dump_json() + "\n")
        return
    table = Table("letter", "job", "plugin", "crops", "at", "why", box=None, header_style="bold")
    for each in found:
        table.add_row(
            each.id, each.job_id, each.plugin, str(len(each.crops)), each.buried_at, each.why
        )
    Console().print(table)


def run_dead_show(settings: Settings, letter_id: str) -> None:
    """One dead letter as JSON."""
    with _redis(settings) as redis:
        _print(dead_letters.dead_letter(redis, letter_id))


def run_dead_retry(settings: Settings, letter_ids: list[str]) -> None:
    """Run the letters' jobs anew."""
    with _store(settings) as store, _redis(settings) as redis:
        for letter_id in letter_ids:
            row = dead_letters.drive_again(store, redis, settings, letter_id)
            typer.echo(f"{row.id} {row.state.value} generation {row.generation}")


def run_dead_drop(settings: Settings, letter_ids: list[str]) -> None:
    """Forget letters."""
    with _redis(settings) as redis:
        for letter_id in letter_ids:
            typer.echo(f"{dead_letters.drop(redis, letter_id).id} dropped")


def _print(found: Frozen) -> None:
    sys.stdout.write(found.model_dump_json(indent=2) + "\n")


def _shown(row: JobRow) -> dict[str, object]:
    shown = row.model_dump(mode="json", exclude={"policy", "submission"})
    return {**shown, "path": row.path, "sample": row.sample}


@contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    store = Store(settings.database())
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _redis(settings: Settings) -> Iterator["Redis"]:
    if settings.redis_url is None:
        raise ConfigError(
            "this works on the Redis that the workers share, and none is named.",
            fix="Set UNMASK_REDIS_URL as it is set for the workers; beside a plain `unmask serve`, "
            "use its page or API.",
        )
    with connect(settings) as broker:
        yield broker.redis
