"""The client of the API, on the standard library and pydantic alone.

client = Client("http://127.0.0.1:8080", key="unmask_...")
job = client.submit(Path("clip.mp4"), external_id="post-17")
verdict = client.wait(job["id"])
"""

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from console.client.connection import Connection, form, stream
from console.client.shapes import Decision, Job, NewWebhook, Receipt, Webhook
from unmask.verdict import Verdict, read_verdict

_LONGEST_POLL_S = 30.0
_UNFINISHED = {"queued", "running"}


@dataclass(frozen=True)
class Client(Connection):
    """Talks to one server. Safe to use from several threads: every call has its own connection."""

    def submit(
        self,
        path: Path,
        *,
        plugins: str | None = None,
        policy: str | None = None,
        sample: str | None = None,
        external_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        priority: str | None = None,
        reuse: bool = False,
        idempotency_key: str | None = None,
    ) -> Job:
        """Upload a video, streamed from disk; returns the job. Raises ApiError, OSError.

        Without an `idempotency_key` the call has one of its own: sent again after a fault of the
        network, it makes one job.
        """
        options = {
            "plugins": plugins,
            "policy": policy,
            "sample": sample,
            "external_id": external_id,
            "metadata": json.dumps(dict(metadata)) if metadata else None,
            "tags": ",".join(tags),
            "priority": priority,
            "reuse": "true" if reuse else None,
        }
        fields = {name: value for name, value in options.items() if value}
        boundary = secrets.token_hex(16)
        head, tail = form(path.name, fields, boundary)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + path.stat().st_size + len(tail)),
            "Idempotency-Key": idempotency_key or secrets.token_hex(16),
        }
        answer = self.ask(
            "POST", "/v1/jobs", headers=headers, body=lambda: stream(head, path, tail)
        )
        job: Job = json.loads(answer)
        return job

    def submit_url(self, url: str, *, idempotency_key: str | None = None, **options: Any) -> Job:
        """Have the server fetch a video; `options` as POST /v1/jobs takes them as JSON."""
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        answer = self.ask("POST", "/v1/jobs", headers=headers, content={"url": url, **options})
        job: Job = json.loads(answer)
        return job

    def job(self, job_id: str, *, wait_s: float = 0) -> Job:
        """State and progress of a job, at once or when it has ended. Raises ApiError."""
        asked = f"?wait={wait_s:g}" if wait_s else ""
        job: Job = json.loads(self.ask("GET", _job(job_id) + asked))
        return job

    def jobs(self, **filters: Any) -> Iterator[Job]:
        """Every job that the filters of GET /v1/jobs let through, page after page."""
        given = {name: _text(value) for name, value in filters.items() if value is not None}
        while True:
            page = json.loads(self.ask("GET", f"/v1/jobs?{urlencode(given)}"))
            yield from page["jobs"]
            if page["next_cursor"] is None:
                return
            given["cursor"] = page["next_cursor"]

    def verdict(self, job_id: str, *, generation: int | None = None) -> Verdict:
        """The verdict. Raises ApiError while there is none; its `problem` says how the job stands."""
        asked = "" if generation is None else f"?generation={generation}"
        return read_verdict(self.ask("GET", f"{_job(job_id)}/verdict{asked}"))

    def picture(self, job_id: str, url: str) -> bytes:
        """An evidence picture, by the `face_url` or `heatmap_url` of the verdict."""
        return self.ask("GET", urljoin(f"{_job(job_id)}/verdict", url))

    def wait(self, job_id: str, timeout_s: float | None = None) -> Verdict:
        """Wait until the job has ended. Raises ApiError where it failed, TimeoutError."""
        begun = time.monotonic()
        while True:
            left = _LONGEST_POLL_S
            if timeout_s is not None:
                left = min(left, timeout_s - (time.monotonic() - begun))
            # The server answers when the job ends; well within the connection's own patience.
            patience = max(0.0, min(left, self.timeout_s / 2))
            if self.job(job_id, wait_s=patience)["job_status"] not in _UNFINISHED:
                return self.verdict(job_id)
            if left <= 0:
                raise TimeoutError(f"job {job_id} is not finished after {timeout_s:g} s")

    def cancel(self, job_id: str) -> Job:
        """Give a job up; one that has ended stays as it is."""
        job: Job = json.loads(self.ask("POST", f"{_job(job_id)}/cancel"))
        return job

    def rerun(self, job_id: str, **options: Any) -> Job:
        """Judge the same media again: `plugins`, `policy`, `sample`."""
        job: Job = json.loads(self.ask("POST", f"{_job(job_id)}/rerun", content=options))
        return job

    def erase(self, job_id: str) -> Receipt:
        """Delete a job with all that was made of it; twice gives the same receipt."""
        receipt: Receipt = json.loads(self.ask("DELETE", _job(job_id)))
        return receipt

    def decide(self, job_id: str, finding: str, **said: Any) -> Decision:
        """Record a decision: fake, real or unsure, with `rationale`, `consent`, `moderator`."""
        content = {"finding": finding, **said}
        made: Decision = json.loads(self.ask("POST", f"{_job(job_id)}/decisions", content=content))
        return made

    def decisions(self, after: int = 0) -> Iterator[Decision]:
        """Every decision numbered higher, the oldest first."""
        while True:
            page = json.loads(self.ask("GET", f"/v1/decisions?after={after}&limit=1000"))
            yield from page["decisions"]
            if not page["decisions"]:
                return
            after = page["next_after"]

    def add_webhook(self, url: str, types: Sequence[str] = ()) -> NewWebhook:
        """Have events sent there; the answer holds the secret, this once."""
        content = {"url": url, "types": list(types)}
        made: NewWebhook = json.loads(self.ask("POST", "/v1/webhooks", content=content))
        return made

    def webhooks(self) -> list[Webhook]:
        """The webhooks there are."""
        found: list[Webhook] = json.loads(self.ask("GET", "/v1/webhooks"))["webhooks"]
        return found

    def delete_webhook(self, webhook_id: str) -> None:
        """Tell it nothing more."""
        self.ask("DELETE", f"/v1/webhooks/{quote(webhook_id, safe='')}")


def _job(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
