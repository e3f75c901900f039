"""`unmask operate check`: boot everything on this machine, send videos, kill things, and prove it held."""

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from console.client.client import Client
from console.client.shapes import Job
from console.commands.demo_clips import make_clips
from console.commands.operation import findings
from console.commands.operation.findings import Finding
from console.commands.operation.receivers import Receivers, receiving
from console.commands.operation.stack import running_stack, until
from unmask.frozen import Frozen

_JUDGE_S, _STOP_S, _SETTLE_S = 900.0, 40.0, 60.0
_ROLES = ("ingest", "score", "verdict")


class Order(Frozen):
    """How hard to try."""

    videos: int
    kills: int
    """kill -9, of each role in turn."""
    seed: int
    database: str | None = None
    """An empty one to use; None: a file of its own."""


def run_check(
    *, videos: int, kills: int, seed: int, as_json: bool, keep: Path | None, database: str | None
) -> int:
    """Prove it; 0 where everything held."""
    console = Console(stderr=as_json)
    with tempfile.TemporaryDirectory(prefix="unmask-check-") as made, receiving() as received:
        folder = keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        found = list(
            _proof(
                folder,
                received,
                Order(videos=videos, kills=kills, seed=seed, database=database),
                console,
            )
        )
    if as_json:
        sys.stdout.writelines(finding.model_dump_json() + "\n" for finding in found)
    else:
        console.print(_table(found))
    return int(not all(finding.held for finding in found))


def _proof(folder: Path, received: Receivers, order: Order, console: Console) -> Iterator[Finding]:
    clips = make_clips(folder)
    with running_stack(folder, received, console, order.database) as (client, server, metrics_at):
        hook = client.add_webhook(f"{received.url}/hook")
        began = time.monotonic()
        jobs = [
            client.submit(clips[n % 2], external_id=f"check-{n}")["id"] for n in range(order.videos)
        ]
        killed = _kill(server, order, console)
        ended = _wait(client, jobs, console)
        seconds = time.monotonic() - began
        yield findings.nothing_lost(jobs, ended, killed, seconds)
        yield findings.same_verdicts(client, ended)
        until(lambda: len(findings.events(received)) >= len(jobs), _SETTLE_S)
        yield findings.events_arrive(received, hook["secret"], jobs)
        until(lambda: findings.whole_trace(received) is not None, _SETTLE_S)
        yield findings.one_trace(received)
        yield findings.metrics_exist(metrics_at, len(server.children(recursive=True)))
        children = server.children(recursive=True)
        begun = time.monotonic()
        server.terminate()
        psutil.wait_procs([server, *children], timeout=_STOP_S)
        left = [p for p in children if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        yield Finding(
            what="SIGTERM ends everything",
            held=not left,
            detail=f"{len(children)} processes gone in {time.monotonic() - begun:.1f} s"
            if not left
            else f"left: {', '.join(' '.join(p.cmdline())[-60:] for p in left)}",
        )


def _kill(server: psutil.Process, order: Order, console: Console) -> Counter[str]:
    """kill -9 of worker processes, each role in turn, while there is work."""
    done: Counter[str] = Counter()
    chance = random.Random(order.seed)  # noqa: S311 - no secret
    with console.status(f"judging, and killing workers {order.kills} times"):
        for number in range(order.kills):
            role = _ROLES[number % len(_ROLES)]
            time.sleep(chance.uniform(0.5, 2.0))
            there = [p for p in server.children() if role in p.cmdline()]
            if there:
                chance.choice(there).kill()
                done[role] += 1
    return done


def _wait(client: Client, jobs: list[str], console: Console) -> dict[str, Job]:
    ended: dict[str, Job] = {}
    deadline = time.monotonic() + _JUDGE_S
    with console.status("waiting for the last verdict") as status:
        while len(ended) < len(jobs) and time.monotonic() < deadline:
            for job_id in set(jobs) - set(ended):
                job = client.job(job_id)
                if job["job_status"] not in {"queued", "running"}:
                    ended[job_id] = job
            status.update(f"{len(ended)} of {len(jobs)} videos judged")
            time.sleep(0.5)
    return ended


def _table(found: list[Finding]) -> Table:
    shown = Table(box=None, header_style="bold")
    for column in ("", "what was to hold", "what was found"):
        shown.add_column(column)
    for finding in found:
        mark = "[green]held[/]" if finding.held else "[bold red]FAILED[/]"
        shown.add_row(mark, finding.what, finding.detail)
    return shown
