"""`unmask stress`: videos at a steady rate into the whole stack, and where their time goes."""

import json
import math
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from console.client.client import Client
from console.client.shapes import Job
from console.commands.demo_clips import make_clips
from console.commands.operation.stack import running_stack, shown_metrics
from unmask.frozen import Frozen

_JUDGE_S = 3600.0
_LOOK_S = 0.5
_ENDED = {"succeeded", "failed", "cancelled"}


class Bounds(Frozen):
    """What it must not be slower than; None: anything goes."""

    p95_s: float | None = None
    videos_per_s: float | None = None


class Stressed(Frozen):
    """What was measured."""

    videos: int
    states: dict[str, int]
    seconds: float
    videos_per_s: float
    p50_s: float
    """From submission to verdict, by the server's clock;"""
    p95_s: float
    p99_s: float
    stages_s: dict[str, float]
    """Mean seconds of one video in each stage."""
    crops: int
    """Scored, over all plugins."""
    broker_ms_per_crop: float | None
    """Processor time of Redis; None where no crop was scored."""
    dropped: int


def run_stress(
    *, videos: int, rate: float, bounds: Bounds, as_json: bool, media: Sequence[Path]
) -> int:
    """Measure and say; 1 where a bound is passed or a video failed."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="unmask-stress-") as made:
        folder = Path(made)
        clips = list(media) or list(make_clips(folder))
        with running_stack(folder, None, console) as (client, server, metrics_at):
            found = _measured(client, server, metrics_at, clips, videos, rate)
    faults = list(broken(found, bounds))
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
    else:
        Console().print(_table(found))
    for fault in faults:
        console.print(f"[bold red]{fault}[/]")
    return int(bool(faults))


def broken(found: Stressed, bounds: Bounds) -> Iterable[str]:
    """A sentence for every bound that is passed."""
    if found.states.get("succeeded", 0) != found.videos:
        yield f"of {found.videos} videos: {found.states}"
    if bounds.p95_s is not None and found.p95_s > bounds.p95_s:
        yield f"p95 is {found.p95_s:.1f} s, over {bounds.p95_s:g}"
    if bounds.videos_per_s is not None and found.videos_per_s < bounds.videos_per_s:
        yield f"{found.videos_per_s:.2f} videos per second, under {bounds.videos_per_s:g}"


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed; nan of none.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def _measured(  # noqa: PLR0917
    client: Client,
    server: psutil.Process,
    metrics_at: int,
    clips: Sequence[Path],
    videos: int,
    rate: float,
) -> Stressed:
    before = _metrics(metrics_at, len(server.children(recursive=True)))["broker_s"]
    began = time.monotonic()
    jobs: list[str] = []
    ended: dict[str, Job] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        sent_bar = progress.add_task("sent", total=videos)
        done_bar = progress.add_task("judged", total=videos)
        looked = 0.0
        while len(ended) < videos and time.monotonic() - began < _JUDGE_S:
            now = time.monotonic()
            if len(jobs) < min(videos, (now - began) * rate + 1):
                number = len(jobs)
                path = clips[number % len(clips)]
                jobs.append(client.submit(path, external_id=f"stress-{number}")["id"])
                progress.update(sent_bar, completed=len(jobs))
                continue
            if now - looked > _LOOK_S:
                looked = now
                ended |= _ended(client, [job for job in jobs if job not in ended])
                progress.update(done_bar, completed=len(ended))
            time.sleep(0.02)
    seconds = time.monotonic() - began
    metrics = _metrics(metrics_at, len(server.children(recursive=True)))
    crops = metrics["unmask_crops_scored_total"]
    spent = metrics["broker_s"] - before
    waits = [_seconds(job) for job in ended.values() if job["job_status"] == "succeeded"]
    return Stressed(
        videos=videos,
        states=dict(Counter(job["job_status"] for job in ended.values())),
        seconds=round(seconds, 2),
        videos_per_s=round(len(ended) / seconds, 3),
        p50_s=round(quantile(waits, 0.50), 2),
        p95_s=round(quantile(waits, 0.95), 2),
        p99_s=round(quantile(waits, 0.99), 2),
        stages_s={
            stage: round(metrics[f"sum:{stage}"] / metrics[f"count:{stage}"], 3)
            for stage in ("fetch", "decode", "find", "ingest", "verdict")
            if metrics[f"count:{stage}"]
        },
        crops=round(crops),
        broker_ms_per_crop=round(1000 * spent / crops, 3) if crops else None,
        dropped=round(metrics["dropped"]),
    )


def _ended(client: Client, asked: Sequence[str]) -> dict[str, Job]:
    answers = (answer.get("job") for answer in client.status_of_many(asked))
    return {job["id"]: job for job in answers if job and job["job_status"] in _ENDED}


def _seconds(job: Job) -> float:
    begun, end = (datetime.fromisoformat(job[name]) for name in ("created_at", "updated_at"))
    return (end - begun).total_seconds()


def _metrics(first_port: int, processes: int) -> dict[str, float]:
    """Sums over every process that shows any."""
    found: dict[str, float] = defaultdict(float)
    for family in shown_metrics(first_port, processes):
        for sample in family.samples:
            if sample.name == "unmask_redis_cpu_seconds":
                found["broker_s"] = max(found["broker_s"], sample.value)
            elif sample.name == "unmask_crops_scored_total":
                found[sample.name] += sample.value
            elif sample.name in {"unmask_stage_seconds_sum", "unmask_stage_seconds_count"}:
                kind = sample.name.rpartition("_")[2]
                found[f"{kind}:{sample.labels['stage']}"] += sample.value
            elif sample.name == "unmask_frames_total" and sample.labels["outcome"] == "dropped":
                found["dropped"] += sample.value
    return found


def _table(found: Stressed) -> Table:
    shown = Table(box=None, show_header=False)
    rows = {
        "videos": f"{found.videos}: {json.dumps(found.states)} in {found.seconds:.1f} s",
        "per second": f"{found.videos_per_s:.2f}",
        "submit to verdict": f"p50 {found.p50_s:.1f}, p95 {found.p95_s:.1f}, p99 {found.p99_s:.1f} s",
        "mean seconds": ", ".join(f"{name} {s:.2f}" for name, s in found.stages_s.items()),
        "crops scored": f"{found.crops}, {found.crops / found.seconds:.1f} per second",
        "broker": "no crop was scored"
        if found.broker_ms_per_crop is None
        else f"{found.broker_ms_per_crop:.2f} ms of CPU per crop and plugin",
        "frames dropped": str(found.dropped),
    }
    for name, said in rows.items():
        shown.add_row(name, said)
    return shown
