"""The arguments of `unmask jobs ...` and `unmask dead ...`."""

from pathlib import Path
from typing import Annotated

import typer

from unmask.settings import load_settings

Json = Annotated[bool, typer.Option("--json", help="One JSON line for each, for programs.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="So many at most.")]
Jobs = Annotated[list[str], typer.Argument(metavar="JOB", help="Job ids.")]
Letters = Annotated[list[str], typer.Argument(metavar="LETTER", help="As `unmask dead list` has.")]

jobs_app = typer.Typer(
    help="See and steer jobs. Works on the database and Redis of the settings.",
    no_args_is_help=True,
)
dead_app = typer.Typer(
    help="Dead letters: crops over which a scoring worker died three times.",
    no_args_is_help=True,
)


operate_app = typer.Typer(help="Prove that an installation holds.", no_args_is_help=True)


@operate_app.command("check")
def operate_check(
    *,
    videos: Annotated[int, typer.Option(min=2, max=1000, help="How many to send.")] = 12,
    kills: Annotated[
        int, typer.Option(min=0, max=1000, help="How often a worker is killed with -9.")
    ] = 6,
    seed: Annotated[int, typer.Option(help="Which workers, and when.")] = 0,
    json: Json = False,
    keep: Annotated[
        Path | None, typer.Option(help="Keep data and the server's log in this folder.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="URL of an EMPTY database to use. Default: a file.")
    ] = None,
) -> None:
    """Boot everything here, send videos, kill workers, and prove that nothing was lost.

    API, workers, Redis and database run as processes of their own beside a receiver of webhooks and
    of traces; nothing of yours is touched, whatever addresses the environment holds.
    """
    from console.commands.operation.proof import run_check  # noqa: PLC0415

    raise typer.Exit(
        run_check(videos=videos, kills=kills, seed=seed, as_json=json, keep=keep, database=database)
    )


def stress(
    media: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[CLIP]...", help="Sent in turn. Default: two made on the spot."),
    ] = None,
    *,
    videos: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many.")] = 30,
    rate: Annotated[float, typer.Option(min=0.001, help="Handed in per second.")] = 1.0,
    p95: Annotated[
        float | None, typer.Option(help="Fail above so many seconds from submission to verdict.")
    ] = None,
    at_least: Annotated[
        float | None, typer.Option(help="Fail below so many videos per second.")
    ] = None,
    json: Json = False,
) -> None:
    """Send videos at a steady rate into the whole stack on this machine; print where time goes.

    UNMASK_PLUGINS, UNMASK_SAMPLE and the like are obeyed; Redis and the database are private to it.
    """
    from console.commands.operation.stress import Bounds, run_stress  # noqa: PLC0415

    bounds = Bounds(p95_s=p95, videos_per_s=at_least)
    raise typer.Exit(
        run_stress(videos=videos, rate=rate, bounds=bounds, as_json=json, media=media or ())
    )


@jobs_app.command("list")
def jobs_list(
    *,
    state: Annotated[
        str | None,
        typer.Option(help="queued, running, succeeded, failed or cancelled. Default: all."),
    ] = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List jobs, the newest first, with why they wait or why they failed."""
    from console.commands.operation.operate import run_jobs_list  # noqa: PLC0415

    run_jobs_list(load_settings(), state=state, limit=limit, as_json=json)


@jobs_app.command("show")
def jobs_show(job: Annotated[str, typer.Argument(metavar="JOB")]) -> None:
    """Print one job as JSON."""
    from console.commands.operation.operate import run_jobs_show  # noqa: PLC0415

    run_jobs_show(load_settings(), job)


@jobs_app.command("retry")
def jobs_retry(jobs: Jobs) -> None:
    """Run finished jobs again (one generation up); try waiting ones now."""
    from console.commands.operation.operate import run_jobs_retry  # noqa: PLC0415

    run_jobs_retry(load_settings(), jobs)


@jobs_app.command("cancel")
def jobs_cancel(jobs: Jobs) -> None:
    """End unfinished jobs and delete their crops."""
    from console.commands.operation.operate import run_jobs_cancel  # noqa: PLC0415

    run_jobs_cancel(load_settings(), jobs)


@dead_app.command("list")
def dead_list(*, limit: Limit = 50, json: Json = False) -> None:
    """List dead letters, the newest first."""
    from console.commands.operation.operate import run_dead_list  # noqa: PLC0415

    run_dead_list(load_settings(), limit=limit, as_json=json)


@dead_app.command("show")
def dead_show(letter: Annotated[str, typer.Argument(metavar="LETTER")]) -> None:
    """Print one dead letter as JSON."""
    from console.commands.operation.operate import run_dead_show  # noqa: PLC0415

    run_dead_show(load_settings(), letter)


@dead_app.command("retry")
def dead_retry(letters: Letters) -> None:
    """Run their jobs anew, once the plugin is mended; the video is decoded again."""
    from console.commands.operation.operate import run_dead_retry  # noqa: PLC0415

    run_dead_retry(load_settings(), letters)


@dead_app.command("drop")
def dead_drop(letters: Letters) -> None:
    """Forget them; jobs and verdicts stay as they are."""
    from console.commands.operation.operate import run_dead_drop  # noqa: PLC0415

    run_dead_drop(load_settings(), letters)
