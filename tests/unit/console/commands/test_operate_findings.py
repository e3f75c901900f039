"""A finding fails when what it is about fails: the proof can say no."""

import base64
import hashlib
import hmac
import json
import time
from collections import Counter

from console.commands.operation import findings, stack
from console.commands.operation.receivers import Receivers

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


def job(state: str) -> dict[str, object]:
    return {"id": "a", "job_status": state}


def told(job_id: str, secret: str = SECRET) -> tuple[dict[str, str], bytes]:
    body = json.dumps(
        {"type": "job.succeeded", "timestamp": "now", "data": {"job_id": job_id}}
    ).encode()
    stamp = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mark = hmac.new(key, f"m.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(mark).decode()
    return {
        "webhook-id": "m", "webhook-timestamp": stamp, "webhook-signature": signature,
    }, body  # fmt: skip


def test_a_failed_or_missing_job_is_a_loss() -> None:
    killed = Counter(score=2)
    fine = findings.nothing_lost(["a"], {"a": job("succeeded")}, killed, 3.0)  # type: ignore[dict-item]
    assert fine.held and "2 score" in fine.detail
    assert not findings.nothing_lost(["a"], {"a": job("failed")}, killed, 3.0).held  # type: ignore[dict-item]
    assert not findings.nothing_lost(["a", "b"], {"a": job("succeeded")}, killed, 3.0).held  # type: ignore[dict-item]


def test_events_must_be_whole_and_signed() -> None:
    received = Receivers(1)
    received.events.append(told("a"))
    assert findings.events_arrive(received, SECRET, ["a"]).held
    assert not findings.events_arrive(received, SECRET, ["a", "b"]).held
    other = "whsec_" + base64.b64encode(b"x" * 24).decode()
    received.events.append(told("a", other))
    assert not findings.events_arrive(received, SECRET, ["a"]).held


def test_a_trace_without_a_stage_is_not_whole() -> None:
    received = Receivers(1)
    stages = ("submit", "ingest", "fetch", "decode", "find", "score sola", "verdict")
    received.traces["t"] = Counter(stages)
    assert not findings.one_trace(received).held
    received.traces["t"]["webhook"] = 1
    assert findings.one_trace(received).held


def test_metrics_that_nobody_shows_are_named() -> None:
    finding = findings.metrics_exist(1, 0)
    assert not finding.held and "unmask_verdicts" in finding.detail


def test_no_service_that_runs_is_written_to() -> None:
    """The environment of an operator's shell names the real database and Redis."""
    assert not {"UNMASK_DATABASE_URL", "UNMASK_REDIS_URL", "UNMASK_DATA_DIR"} & set(stack._OBEYED)
