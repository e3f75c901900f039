"""Server-sent events: of one job, of one stream, of the whole tenant; and waiting for a job."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from console.web.described.examples import PROBLEMS
from console.web.door.guard import WAS_HEAD
from console.web.review.blind import hidden_jobs
from console.web.services import WebServices, WebServicesDep
from unmask.errors import InputError, ReasonCode
from unmask.messages import JobState
from workers.store.outgoing.outbox import Event

router = APIRouter(prefix="/v1", tags=["events"])

_LOOK_EVERY_S = 0.5
_SIGN_OF_LIFE_S = 15.0
_ENDS = {"job.succeeded", "job.failed", "job.cancelled"}
MAX_SEQ = 2**31 - 1

EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `id` to go on from, `event` the type, `data` JSON.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **PROBLEMS,
}
LastEventId = Annotated[
    str | None, Header(max_length=20, description="The id of the last event that was seen.")
]
After = Annotated[
    int | None, Query(ge=0, le=MAX_SEQ, description="As Last-Event-ID; 0: from the beginning.")
]


@router.get(
    "/events",
    summary="The tenant's events as they happen",
    operation_id="stream_events",
    response_class=StreamingResponse,
    responses=EVENT_STREAM,
)
async def everything(
    request: Request, found: WebServicesDep, last_event_id: LastEventId = None, after: After = None
) -> StreamingResponse:
    """From now on, or from Last-Event-ID on: whoever comes back misses nothing."""
    begin = begin_after(last_event_id, after)
    if begin is None:
        begin = await run_in_threadpool(found.store.outbox.newest, found.actor.tenant)
    return event_stream(request, _follow(request, found, begin, None))


@router.get(
    "/jobs/{job_id}/events",
    summary="One job's events and progress",
    operation_id="stream_job_events",
    response_class=StreamingResponse,
    responses=EVENT_STREAM,
)
async def of_job(
    job_id: str,
    request: Request,
    found: WebServicesDep,
    last_event_id: LastEventId = None,
    after: After = None,
) -> StreamingResponse:
    """What happened so far, then progress as it changes, until the job has ended."""
    await run_in_threadpool(found.job, job_id)
    begin = begin_after(last_event_id, after) or 0
    return event_stream(request, _follow(request, found, begin, job_id))


def begin_after(header: str | None, after: int | None) -> int | None:
    """The id to go on from; None where neither names one. Raises InputError."""
    if header is None:
        return after
    if not header.isdecimal() or not header.isascii() or int(header) > MAX_SEQ:
        raise InputError(
            "Last-Event-ID is no id of an event.",
            code=ReasonCode.CONFIG_INVALID,
            fix="Send the id as it came, or leave it out.",
        )
    return int(header)


async def _nothing() -> AsyncIterator[str]:
    none: tuple[str, ...] = ()
    for line in none:
        yield line


def event_stream(request: Request, lines: AsyncIterator[str]) -> StreamingResponse:
    """Events as they come; of a HEAD request, the head alone."""
    if WAS_HEAD in request.scope:
        lines = _nothing()
    # nginx would hold events back until its buffer is full.
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)


async def _follow(
    request: Request, found: WebServices, begin: int, job_id: str | None
) -> AsyncIterator[str]:
    """Ask the outbox again and again: it is the truth, whichever process wrote to it."""
    seq, progress, spoke_at = begin, "", time.monotonic()
    yield "retry: 2000\n\n"
    while not await request.is_disconnected():
        events: list[Event] = await run_in_threadpool(
            found.store.outbox.after, seq, found.actor.tenant, job_id=job_id
        )
        hidden = await run_in_threadpool(_hidden, found) if events else frozenset()
        for event in events:
            seq, spoke_at = event.seq, time.monotonic()
            yield _line(event.type, _shown(event, hidden), event.seq)
        if job_id is not None and not events:
            job = await run_in_threadpool(found.store.job, job_id)
            if job is None or not job.state.is_open:
                if job is not None and not await _has_more(found, seq, job_id):
                    yield _line("end", {"job_status": job.state.value}, None)
                    return
                if job is None:
                    return
            else:
                told = await run_in_threadpool(found.progress, job)
                text = told.model_dump_json()
                if text != progress:
                    progress, spoke_at = text, time.monotonic()
                    yield _line("progress", json.loads(text), None)
        if time.monotonic() - spoke_at > _SIGN_OF_LIFE_S:
            spoke_at = time.monotonic()
            yield ": still here\n\n"
        if not events:
            await asyncio.sleep(_LOOK_EVERY_S)


async def _has_more(found: WebServices, seq: int, job_id: str) -> bool:
    after = found.store.outbox.after
    return bool(await run_in_threadpool(after, seq, found.actor.tenant, job_id=job_id, limit=1))


def _hidden(found: WebServices) -> frozenset[str]:
    return hidden_jobs(found.store, found.rules, found.actor)


def _shown(event: Event, hidden: frozenset[str]) -> dict[str, Any]:
    """`hidden`: jobs of which this listener may not know the score yet."""
    data = {"job_id": event.job_id} if event.job_id in hidden else event.data
    return {
        "id": event.id,
        "type": event.type,
        "timestamp": event.created_at,
        "data": {**data, "event_number": event.number},
    }


def _line(kind: str, data: dict[str, Any], number: int | None) -> str:
    mark = "" if number is None else f"id: {number}\n"
    return f"{mark}event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


async def until_ended(request: Request, found: WebServices, job_id: str, wait_s: float) -> None:
    """Wait for a job to end, at most so long, and no longer than the client does."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        job = await run_in_threadpool(found.job, job_id)
        if job.state in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}:
            return
        if await request.is_disconnected():
            return
        await asyncio.sleep(min(_LOOK_EVERY_S, max(0.0, deadline - time.monotonic())))
