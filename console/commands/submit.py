"""`unmask submit` and `unmask verdict`: the front door of a server elsewhere."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from console.client import ApiError, Client
from console.show import wording
from console.show.lines import shown_path

#: What shells expect of a program that Ctrl-C ended.
INTERRUPTED = 130


def run_submit(
    paths: Sequence[Path],
    server: str,
    options: Mapping[str, Any],
    *,
    key: str | None,
    wait: bool,
) -> int:
    """Send each file; prints `JOB  FILE` a line, and the verdict where `wait`. 1 if one failed."""
    client, failed = Client(server, key=os.environ.get("UNMASK_KEY")), False
    console, errors = Console(highlight=False, soft_wrap=True), Console(stderr=True)
    handed_in: list[str] = []
    for path in paths:
        try:
            # One key names one request: with several files, each gets its own.
            own_key = key if key is None or len(paths) == 1 else f"{key}:{path.name}"
            job = client.submit(path, **options, idempotency_key=own_key)
            handed_in.append(job["id"])
            line = f"{job['id']}  {shown_path(path)}"
            if wait:
                verdict = client.wait(job["id"])
                score = wording.probability(verdict.p_fake)
                line += f"  {verdict.verdict.value}  {score}"
            console.print(line, markup=False)
        except (ApiError, OSError) as error:
            failed = True
            cause = error.strerror if isinstance(error, OSError) else str(error)
            errors.print(f"{shown_path(path)}: {cause}", markup=False, highlight=False)
        except KeyboardInterrupt:
            said = f"Stopped: {len(handed_in)} of {len(paths)} handed in."
            if handed_in:
                said += f" The server goes on with them: unmask verdict {handed_in[-1]} --wait"
            errors.print(said, markup=False, highlight=False)
            return INTERRUPTED
    return int(failed)


def run_verdict(job_id: str, server: str, *, wait: bool) -> int:
    """Print verdict.json of a job."""
    client = Client(server, key=os.environ.get("UNMASK_KEY"))
    try:
        verdict = client.wait(job_id) if wait else client.verdict(job_id)
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped waiting: the server goes on with the job.")
        return INTERRUPTED
    sys.stdout.write(verdict.canonical_json())
    return 0
