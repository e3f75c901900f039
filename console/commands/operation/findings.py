"""What `unmask operate check` holds an installation to: one finding for each thing to be proven."""

import json
from collections import Counter

from console.client.client import Client
from console.client.connection import ApiError
from console.client.shapes import Job
from console.client.webhook import WebhookRefused, verify_webhook
from console.commands.operation.receivers import Receivers
from console.commands.operation.stack import shown_metrics
from unmask.frozen import Frozen

#: What one video leaves in some process's metrics, whatever it is.
_EXPECTED = frozenset(
    {
        "unmask_build_info", "unmask_jobs_ended", "unmask_job_seconds", "unmask_stage_seconds",
        "unmask_frames", "unmask_crops_published", "unmask_crops_scored", "unmask_score",
        "unmask_batch_seconds", "unmask_batch_crops", "unmask_engine_info", "unmask_verdicts",
        "unmask_sandbox_lock_held", "unmask_http_requests", "unmask_webhook_attempts",
        "unmask_worker_restarts",
        "unmask_up", "unmask_role_alive", "unmask_plugin_served", "unmask_jobs_open",
    }
)  # fmt: skip
_SPANS = ("submit", "ingest", "fetch", "decode", "find", "verdict", "webhook")


class Finding(Frozen):
    """One thing that was to be proven."""

    what: str
    held: bool
    detail: str


def nothing_lost(
    jobs: list[str], ended: dict[str, Job], killed: Counter[str], seconds: float
) -> Finding:
    """Every job ended in a verdict, though workers died."""
    states = Counter(job["job_status"] for job in ended.values())
    told = ", ".join(f"{count} {role}" for role, count in sorted(killed.items()))
    return Finding(
        what="nothing lost, nothing failed",
        held=states == Counter({"succeeded": len(jobs)}),
        detail=f"{states['succeeded']} of {len(jobs)} judged in {seconds:.0f} s; kill -9 of {told}",
    )


def same_verdicts(client: Client, ended: dict[str, Job]) -> Finding:
    """Two clips were sent many times: each has one verdict, whatever died meanwhile."""
    verdicts: dict[str, set[str]] = {}
    for job in ended.values():
        try:
            verdict = client.verdict(job["id"])
        except ApiError:
            continue
        if verdict is not None:
            text = verdict.model_copy(update={"evidence": ()}).canonical_json()
            verdicts.setdefault(verdict.media.sha256 if verdict.media else "", set()).add(
                text if isinstance(text, str) else text.decode()
            )
    words = sorted({json.loads(text)["verdict"] for texts in verdicts.values() for text in texts})
    return Finding(
        what="the same video, the same verdict",
        held=len(verdicts) == 2 and all(len(texts) == 1 for texts in verdicts.values()),
        detail=f"{len(verdicts)} clips, {sum(map(len, verdicts.values()))} verdicts: {', '.join(words)}",
    )


def events(received: Receivers) -> Counter[str]:
    """Job -> how often its end was told."""
    bodies = [json.loads(body) for _, body in received.events]
    return Counter(b["data"]["job_id"] for b in bodies if b["type"] == "job.succeeded")


def events_arrive(received: Receivers, secret: str, jobs: list[str]) -> Finding:
    """Every job's end was told, and every message is signed with the secret."""
    sound = 0
    for headers, body in received.events:
        try:
            verify_webhook(secret, headers, body)
            sound += 1
        except WebhookRefused:
            continue
    heard = events(received)
    return Finding(
        what="webhooks: each job's end, signed",
        held=set(heard) == set(jobs) and sound == len(received.events),
        detail=f"{len(heard)} of {len(jobs)} jobs told, {sound} of {len(received.events)} signatures hold",
    )


def whole_trace(received: Receivers) -> Counter[str] | None:
    """Names of the spans of a trace that holds every stage; None where there is none."""
    for names in received.traces.values():
        scored = any(name.startswith("score ") for name in names)
        if scored and set(_SPANS) <= set(names):
            return names
    return None


def one_trace(received: Receivers) -> Finding:
    """A video's way is one trace."""
    whole = whole_trace(received)
    best = whole or max(received.traces.values(), key=len, default=Counter())
    return Finding(
        what="one trace from submission to webhook",
        held=whole is not None,
        detail=", ".join(sorted(best)) or "no span came",
    )


def metrics_exist(first_port: int, processes: int) -> Finding:
    """Every metric that a video leaves is shown by some process; gauges of the queue too."""
    seen = {family.name for family in shown_metrics(first_port, processes) if family.samples}
    missing = sorted(_EXPECTED - seen)
    return Finding(
        what="metrics of every role",
        held=not missing,
        detail=f"{len(_EXPECTED)} of {len(_EXPECTED)} shown"
        if not missing
        else f"missing: {', '.join(missing)}",
    )
