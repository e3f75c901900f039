"""Every call of the API, described once: what to send, and what the answer is."""

import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from console.client.call import (
    Call,
    Conversation,
    Feed,
    Items,
    Listing,
    address,
    as_json,
    as_lines,
    read_lines,
)
from console.client.multipart import form, streamed
from console.client.shapes import (
    Attempt,
    BulkAnswer,
    DeadLetter,
    Decision,
    FacePlaces,
    Health,
    Job,
    Key,
    Me,
    NewKey,
    NewWebhook,
    Receipt,
    Stream,
    StreamWindow,
    Webhook,
)
from unmask.verdict import Verdict, read_verdict

#: Well within what the server lets an answer wait.
_LONGEST_POLL_S = 20.0
_UNFINISHED = {"queued", "running"}
_BULK_LINES = 500


def _new_key() -> str:
    return secrets.token_hex(16)


def _part(name: str) -> Callable[[bytes], Any]:
    return lambda answer: json.loads(answer)[name]


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _pages(path: str, what: str, filters: Mapping[str, Any]) -> Listing[Any]:
    asked = dict(filters)
    while True:
        page = yield Call(method="GET", path=address(path, **asked))
        yield Items(page[what])
        if page["next_cursor"] is None:
            return
        asked["cursor"] = page["next_cursor"]


# Jobs


def submit(
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
) -> Call[Job]:
    """Upload a video, streamed from disk; the job. Raises ApiError, OSError.

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
    boundary = secrets.token_hex(16)
    fields = {name: value for name, value in options.items() if value}
    head, tail = form(path.name, fields, boundary)
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(head) + path.stat().st_size + len(tail)),
        "Idempotency-Key": idempotency_key or _new_key(),
    }
    return Call(
        method="POST",
        path=address("/v1/jobs"),
        headers=headers,
        body=lambda: streamed(head, path, tail),
        again=True,
    )


def submit_url(url: str, *, idempotency_key: str | None = None, **options: Any) -> Call[Job]:
    """Have the server fetch a video; `options` as POST /v1/jobs takes them as JSON."""
    return _submit_json({"url": url, **options}, idempotency_key)


def submit_path(path: str, *, idempotency_key: str | None = None, **options: Any) -> Call[Job]:
    """Have the server read a video under one of its media roots."""
    return _submit_json({"path": path, **options}, idempotency_key)


def _submit_json(content: dict[str, Any], key: str | None) -> Call[Job]:
    sent = as_json(_given(content))
    sent["headers"] |= {"Idempotency-Key": key or _new_key()}
    return Call(method="POST", path=address("/v1/jobs"), again=True, **sent)


def submit_many(videos: Iterable[Mapping[str, Any]]) -> Listing[BulkAnswer]:
    """Hand in many, each `{"url": ...}` or `{"path": ...}` with options; an answer for each, in order.

    A bad one answers with its problem, the others are queued. Each has an idempotency key.
    """
    lines = ({"idempotency_key": _new_key(), **video} for video in videos)
    while some := list(islice(lines, _BULK_LINES)):
        yield Items(
            (
                yield Call(
                    method="POST",
                    path=address("/v1/bulk/submit"),
                    read=read_lines,
                    again=True,
                    **as_lines(some),
                )
            )
        )


def status_of_many(job_ids: Iterable[str]) -> Listing[BulkAnswer]:
    """How many jobs stand: a job for each id, or a problem where there is none."""
    ids = iter(job_ids)
    while some := list(islice(ids, _BULK_LINES)):
        yield Items(
            (
                yield Call(
                    method="POST",
                    path=address("/v1/bulk/status"),
                    read=read_lines,
                    again=True,
                    **as_lines(some),
                )
            )
        )


def job(job_id: str, *, wait_s: float = 0) -> Call[Job]:
    """State and progress of a job, at once or when it has ended. Raises ApiError."""
    asked = f"{wait_s:g}" if wait_s else None
    return Call(method="GET", path=address("/v1/jobs/{job_id}", job_id, wait=asked), waits_s=wait_s)


def jobs(**filters: Any) -> Listing[Job]:
    """Every job that the filters of GET /v1/jobs let through, page after page."""
    return _pages("/v1/jobs", "jobs", filters)


def wait(job_id: str, timeout_s: float | None = None) -> Conversation[Verdict]:
    """Wait until the job has ended. Raises ApiError where it failed, TimeoutError."""
    begun = time.monotonic()
    while True:
        left = _LONGEST_POLL_S
        if timeout_s is not None:
            left = min(left, timeout_s - (time.monotonic() - begun))
        # The server answers when the job ends.
        found = yield job(job_id, wait_s=max(0.0, left))
        if found["job_status"] not in _UNFINISHED:
            made: Verdict = yield verdict(job_id)
            return made
        if left <= 0:
            raise TimeoutError(f"job {job_id} is not finished after {timeout_s:g} s")


def verdict(job_id: str, *, generation: int | None = None) -> Call[Verdict]:
    """The verdict. Raises ApiError while there is none; its `problem` says how the job stands."""
    asked = address("/v1/jobs/{job_id}/verdict", job_id, generation=generation)
    return Call(method="GET", path=asked, read=read_verdict)


def picture(job_id: str, url: str) -> Call[bytes]:
    """An evidence picture, by the `face_url` or `heatmap_url` of the verdict."""
    name = urljoin("/", url).rpartition("/")[2]
    return Call(
        method="GET", path=address("/v1/jobs/{job_id}/evidence/{name}", job_id, name), read=bytes
    )


def media(job_id: str) -> Call[bytes]:
    """The video that was judged, whole, in memory: of a large one, ask its address in ranges."""
    return Call(method="GET", path=address("/v1/jobs/{job_id}/media", job_id), read=bytes)


def faces(job_id: str, *, start_ms: int = 0, end_ms: int | None = None) -> Call[FacePlaces]:
    """Where the faces of a stretch are; `next_ms` says where to go on, None where nothing follows."""
    options = _given({"start_ms": start_ms, "end_ms": end_ms})
    return Call(method="GET", path=address("/v1/jobs/{job_id}/faces", job_id, **options))


def cancel(job_id: str) -> Call[Job]:
    """Give a job up; one that has ended stays as it is."""
    return Call(method="POST", path=address("/v1/jobs/{job_id}/cancel", job_id), again=True)


def rerun(job_id: str, **options: Any) -> Call[Job]:
    """Judge the same media again: `plugins`, `policy`, `sample`."""
    return Call(
        method="POST", path=address("/v1/jobs/{job_id}/rerun", job_id), **as_json(_given(options))
    )


def erase(job_id: str) -> Call[Receipt]:
    """Delete a job with all that was made of it; twice gives the same receipt."""
    return Call(method="DELETE", path=address("/v1/jobs/{job_id}", job_id))


def receipts(*, limit: int = 500) -> Listing[Receipt]:
    """Every receipt of an erasure, the newest first; `limit` a page."""
    return _pages("/v1/receipts", "receipts", {"limit": limit})


def receipt(job_id: str) -> Call[Receipt]:
    """What was removed of an erased job."""
    return Call(method="GET", path=address("/v1/receipts/{job_id}", job_id))


def receipt_key() -> Call[dict[str, Any]]:
    """The JWK that receipts are verified with, by any JOSE library."""
    return Call(method="GET", path=address("/v1/receipt-key"))


def dead_letters() -> Call[list[DeadLetter]]:
    """Crops over which scoring workers died three times, the newest first."""
    return Call(method="GET", path=address("/v1/dead-letters"), read=_part("dead_letters"))


def dead_letter(letter_id: str) -> Call[DeadLetter]:
    """Which crops, of which plugin, and why."""
    return Call(method="GET", path=address("/v1/dead-letters/{letter_id}", letter_id))


def retry_dead_letter(letter_id: str) -> Call[Job]:
    """Run the letter's job anew, once the plugin is mended."""
    return Call(method="POST", path=address("/v1/dead-letters/{letter_id}/retry", letter_id))


def drop_dead_letter(letter_id: str) -> Call[DeadLetter]:
    """Delete the letter; its job stays as it is."""
    return Call(method="DELETE", path=address("/v1/dead-letters/{letter_id}", letter_id))


# Decisions


def decide(
    job_id: str,
    finding: str,
    *,
    rationale: str = "",
    consent: bool = False,
    moderator: str | None = None,
    generation: int | None = None,
) -> Call[Decision]:
    """Record a decision: fake, real or unsure; `rationale` says why, `consent` allows training."""
    content = {
        "finding": finding,
        "rationale": rationale,
        "consent": consent,
        "moderator": moderator,
        "generation": generation,
    }
    return Call(
        method="POST",
        path=address("/v1/jobs/{job_id}/decisions", job_id),
        **as_json(_given(content)),
    )


def decisions_on(job_id: str) -> Call[list[Decision]]:
    """The decisions on one job, the oldest first."""
    asked = address("/v1/jobs/{job_id}/decisions", job_id)
    return Call(method="GET", path=asked, read=_part("decisions"))


def decisions(after: int = 0) -> Listing[Decision]:
    """Every decision numbered higher, the oldest first."""
    while True:
        page = yield Call(method="GET", path=address("/v1/decisions", after=after, limit=1000))
        yield Items(page["decisions"])
        if not page["decisions"]:
            return
        after = page["next_after"]


# Streams


def watch(url: str, **options: Any) -> Call[Stream]:
    """Have a live stream watched; `options` as POST /v1/streams takes them."""
    return Call(
        method="POST", path=address("/v1/streams"), **as_json({"url": url, **_given(options)})
    )


def streams(*, state: str | None = None, limit: int = 500) -> Listing[Stream]:
    """Every stream, the newest first; `limit` a page."""
    return _pages("/v1/streams", "streams", {"state": state, "limit": limit})


def stream(stream_id: str) -> Call[Stream]:
    """One stream, with its rolling verdict."""
    return Call(method="GET", path=address("/v1/streams/{stream_id}", stream_id))


def stream_windows(stream_id: str, after: int = -1) -> Listing[StreamWindow]:
    """Every window there is by now whose index is higher, in order."""
    template = "/v1/streams/{stream_id}/windows"
    while True:
        page = yield Call(method="GET", path=address(template, stream_id, after=after, limit=1000))
        yield Items(page["windows"])
        if page["next_after"] is None:
            return
        after = page["next_after"]


def stream_verdict(stream_id: str) -> Call[Verdict]:
    """The verdict on the whole stream, once it has ended."""
    asked = address("/v1/streams/{stream_id}/verdict", stream_id)
    return Call(method="GET", path=asked, read=read_verdict)


def stop_stream(stream_id: str) -> Call[Stream]:
    """End it; a verdict on what was seen follows."""
    return Call(method="POST", path=address("/v1/streams/{stream_id}/stop", stream_id), again=True)


def erase_stream(stream_id: str) -> Call[Receipt]:
    """Stop it, and delete all that was made of it; twice gives the same receipt."""
    return Call(method="DELETE", path=address("/v1/streams/{stream_id}", stream_id), waits_s=10)


# Events


def events(after: int | None = None) -> Feed:
    """What happens in the tenant, for ever: from now on, or from after the event of that id on."""
    return Feed(address("/v1/events"), after)


def job_events(job_id: str, after: int | None = None) -> Feed:
    """What happened to one job, then its progress as it changes, until it has ended."""
    return Feed(address("/v1/jobs/{job_id}/events", job_id), after)


def stream_events(stream_id: str, after: int | None = None) -> Feed:
    """A stream's windows and states as they come, until it has ended; ids are windows' indices."""
    return Feed(address("/v1/streams/{stream_id}/events", stream_id), after)


# Webhooks


def add_webhook(url: str, types: Sequence[str] = ()) -> Call[NewWebhook]:
    """Have events sent there; the answer holds the secret, this once."""
    return Call(
        method="POST", path=address("/v1/webhooks"), **as_json({"url": url, "types": list(types)})
    )


def webhooks() -> Call[list[Webhook]]:
    """The webhooks there are."""
    return Call(method="GET", path=address("/v1/webhooks"), read=_part("webhooks"))


def delete_webhook(webhook_id: str) -> Call[Webhook]:
    """Tell it nothing more."""
    return Call(method="DELETE", path=address("/v1/webhooks/{webhook_id}", webhook_id))


def rotate_webhook(webhook_id: str) -> Call[str]:
    """A new secret, shown this once; the old one signs beside it for a day."""
    asked = address("/v1/webhooks/{webhook_id}/rotate", webhook_id)
    return Call(method="POST", path=asked, read=_part("secret"))


def webhook_attempts(webhook_id: str, limit: int = 100) -> Call[list[Attempt]]:
    """The newest tries to deliver, with how each ended."""
    asked = address("/v1/webhooks/{webhook_id}/attempts", webhook_id, limit=limit)
    return Call(method="GET", path=asked, read=_part("attempts"))


def replay_webhook(webhook_id: str, since: str) -> Call[int]:
    """Send every event since then (ISO 8601) again; how many those are."""
    asked = address("/v1/webhooks/{webhook_id}/replay", webhook_id)
    return Call(method="POST", path=asked, read=_part("events"), **as_json({"since": since}))


# Keys, and the server itself


def create_key(
    name: str,
    role: str,
    *,
    scopes: Sequence[str] = (),
    days: float | None = None,
    rate: str | None = None,
    jobs_per_day: int | None = None,
    bytes_per_day: int | None = None,
) -> Call[NewKey]:
    """A new key of one's own tenant; the answer holds its secret, this once."""
    content = {
        "name": name,
        "role": role,
        "scopes": list(scopes),
        "days": days,
        "rate": rate,
        "jobs_per_day": jobs_per_day,
        "bytes_per_day": bytes_per_day,
    }
    return Call(method="POST", path=address("/v1/keys"), **as_json(_given(content)))


def keys() -> Call[list[Key]]:
    """The tenant's keys, revoked ones too."""
    return Call(method="GET", path=address("/v1/keys"), read=_part("keys"))


def revoke_key(key_id: str) -> Call[Key]:
    """End a key now."""
    return Call(method="DELETE", path=address("/v1/keys/{key_id}", key_id))


def me() -> Call[Me]:
    """Who the server takes us for, and what we may do."""
    return Call(method="GET", path=address("/v1/me"))


def health() -> Call[Health]:
    """Whether a new job would be worked on, and what is missing where not."""
    return Call(method="GET", path=address("/health/ready"), also=frozenset({503}))


def plugins() -> Call[list[dict[str, Any]]]:
    """The detectors of the server."""
    return Call(method="GET", path=address("/v1/plugins"), read=_part("plugins"))
