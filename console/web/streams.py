"""/v1/streams: have a live stream watched, follow it, read its windows, stop it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from console.web.described.examples import PROBLEMS, VERDICT_RESPONSES
from console.web.door import etags
from console.web.intake.submission import check_policy
from console.web.problems import problem
from console.web.push.event_stream import (
    EVENT_STREAM,
    MAX_SEQ,
    After,
    LastEventId,
    begin_after,
    event_stream,
)
from console.web.services import WebServices, WebServicesDep
from ingest.fetching import places
from ingest.live.opening.source import permitted, source_of
from unmask.errors import InputError, ReasonCode
from unmask.frozen import Frozen
from unmask.requests.stream import (
    EVERY_S,
    Rolling,
    StreamStateName,
    StreamWanted,
    WindowReport,
)
from workers.jobs.removal.erase_stream import erase_stream
from workers.store.erasure import Receipt
from workers.store.streams import StreamRow

router = APIRouter(prefix="/v1", tags=["streams"])

_POLL_S = 0.5
_KEEP_ALIVE_S = 15.0


class StreamSubmission(Frozen):
    """The JSON body of POST /v1/streams."""

    url: str = Field(max_length=8192)
    """rtsp, rtmp, srt, udp or tcp from one of UNMASK_STREAM_HOSTS, or an https:// playlist."""
    window_s: float = Field(default=5.0, ge=1.0, le=60.0)
    every_s: float = Field(default=EVERY_S, ge=0.04, le=10.0)
    """From one look to the next, in stream time."""
    drop: Literal["wait", "drop_oldest", "drop_newest", "adaptive"] = "drop_oldest"
    """What to do with frames that come too fast."""
    transport: Literal["tcp", "udp"] = "tcp"
    """How RTSP carries packets."""
    give_up_s: float = Field(default=60.0, ge=1.0, le=86400.0)
    """Without a source for so long the stream has ended."""
    plugins: tuple[str, ...] = ()
    policy: str | None = Field(default=None, max_length=200)


class StreamView(Frozen):
    """A stream, as GET /v1/streams/{id} shows it; always with status 200, whatever its state."""

    id: str
    url: str
    """Without user, password and query."""
    state: StreamStateName
    reason: str
    stopping: bool
    """Whether it was asked to end and has not yet."""
    rolling: Rolling | None
    """The verdict as it stands; null before the first window."""
    windows: int
    watched_ms: int
    """Wall clock up to the end of its last window."""
    runs: int
    """Times that a worker took it up: more than 1 where one was lost."""
    verdict_url: str | None
    """Set once it has ended and something was seen."""
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, row: StreamRow) -> "StreamView":
        """The public part of a stream."""
        return cls(
            id=row.id,
            url=row.shown,
            state=row.state,
            reason=row.reason,
            stopping=row.stop_requested and row.is_open,
            rolling=row.rolling,
            windows=row.next_window,
            watched_ms=row.ended_ms,
            runs=row.runs,
            verdict_url=f"/v1/streams/{row.id}/verdict" if row.verdict is not None else None,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class StreamList(Frozen):
    """The newest streams first."""

    streams: tuple[StreamView, ...]
    next_cursor: str | None
    """Ask with it as `cursor` for the next page; null on the last one."""


class WindowPage(Frozen):
    """Windows in order. `next_after`: what to ask for next; null where there is no more yet."""

    windows: tuple[WindowReport, ...]
    next_after: int | None


@router.post(
    "/streams",
    status_code=202,
    response_model=StreamView,
    summary="Watch a stream",
    operation_id="create_stream",
    responses=PROBLEMS,
)
def create_stream(wanted: StreamSubmission, found: WebServicesDep) -> JSONResponse:
    """A worker takes it up within seconds; another one, where that worker dies."""
    check_policy(found, wanted.policy)
    source = source_of(wanted.url, found.settings, transport=wanted.transport)
    permitted(source, found.settings)
    with found.quotas.charged(found.actor, 0) as charge:
        row = found.store.streams.create(
            found.actor.tenant,
            places.shown(wanted.url),
            StreamWanted(address=wanted.url, **wanted.model_dump(exclude={"url"})),
            found.actor.id,
        )
        charge.kept = True
    _noted(found, "stream.create", row.id)
    return JSONResponse(
        StreamView.of(row).model_dump(mode="json"),
        status_code=202,
        headers={"Location": f"{found.root}/v1/streams/{row.id}"},
    )


@router.get(
    "/streams",
    response_model=StreamList,
    summary="The newest streams",
    operation_id="list_streams",
    responses=PROBLEMS,
)
def list_streams(
    found: WebServicesDep,
    state: Annotated[StreamStateName | None, Query(description="Only in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[
        str | None, Query(max_length=500, description="`next_cursor` of the page before.")
    ] = None,
) -> StreamList:
    """Streams with their state and rolling verdict, the newest first."""
    rows, after = found.store.streams.newest(found.actor.tenant, limit, state, cursor)
    return StreamList(streams=tuple(StreamView.of(row) for row in rows), next_cursor=after)


@router.get(
    "/streams/{stream_id}",
    response_model=StreamView,
    summary="One stream",
    operation_id="get_stream",
    responses=PROBLEMS,
)
def get_stream(stream_id: str, found: WebServicesDep) -> StreamView:
    """Its state and its rolling verdict."""
    return StreamView.of(stream_of(found, stream_id))


@router.get(
    "/streams/{stream_id}/windows",
    response_model=WindowPage,
    summary="A stream's windows",
    operation_id="list_stream_windows",
    responses=PROBLEMS,
)
def list_windows(
    stream_id: str,
    found: WebServicesDep,
    after: Annotated[
        int, Query(ge=-1, le=MAX_SEQ, description="Only windows after this index.")
    ] = -1,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> WindowPage:
    """In order, from the first; the next page begins after the last index of this one."""
    stream_of(found, stream_id)
    windows = tuple(found.store.streams.windows(stream_id, after, limit))
    more = windows[-1].index if len(windows) == limit else None
    return WindowPage(windows=windows, next_after=more)


@router.post(
    "/streams/{stream_id}/stop",
    response_model=StreamView,
    summary="Stop a stream",
    operation_id="stop_stream",
    responses=PROBLEMS,
)
def stop_stream(stream_id: str, found: WebServicesDep) -> StreamView:
    """It ends within seconds, with a verdict on what was seen. One that has ended stays as it is."""
    stop(found, stream_id)
    return StreamView.of(stream_of(found, stream_id))


@router.delete(
    "/streams/{stream_id}",
    response_model=Receipt,
    summary="Erase a stream",
    operation_id="erase_stream",
    responses=PROBLEMS,
)
def erase(stream_id: str, found: WebServicesDep) -> Receipt:
    """Stop it, and delete its windows, verdict, events and pictures. A signed receipt stays."""
    actor = found.actor
    return erase_stream(
        found.store,
        found.redis,
        found.settings,
        stream_id,
        tenant=actor.tenant,
        actor=actor.id,
    )


@router.get(
    "/streams/{stream_id}/verdict",
    summary="The verdict on a whole stream",
    operation_id="get_stream_verdict",
    responses=VERDICT_RESPONSES,
)
def stream_verdict(stream_id: str, request: Request, found: WebServicesDep) -> Response:
    """Once it has ended; until then, the stream itself has the rolling verdict."""
    row = stream_of(found, stream_id)
    if row.verdict is not None:
        return etags.tagged_json(request, row.verdict.canonical_json())
    return problem(
        request,
        status=404,
        code="verdict_not_ready" if row.is_open else "no_verdict",
        title="Not ready" if row.is_open else "No verdict",
        detail=f"The stream is {row.state}.",
        fix="Stop it first, or read `rolling`." if row.is_open else "Nothing was seen of it.",
    )


@router.get(
    "/streams/{stream_id}/events",
    summary="Follow a stream",
    operation_id="follow_stream",
    response_class=StreamingResponse,
    responses=EVENT_STREAM,
)
async def follow_stream(
    stream_id: str,
    request: Request,
    found: WebServicesDep,
    last_event_id: LastEventId = None,
    after: After = None,
) -> StreamingResponse:
    """Server-sent events: `state` whenever it changes, `window` as each is judged, `end` last.

    The id of an event is the index of the last window: sent back as Last-Event-ID, nothing is missed.
    """
    await run_in_threadpool(stream_of, found, stream_id)
    begin = begin_after(last_event_id, after)
    return event_stream(request, _events(found, stream_id, request, -1 if begin is None else begin))


async def _events(
    found: WebServices, stream_id: str, request: Request, after: int
) -> AsyncIterator[str]:
    said: str | None = None
    silent_s = 0.0
    while not await request.is_disconnected():
        row = await run_in_threadpool(found.store.streams.get, stream_id)
        if row is None:
            return
        sent = False
        for report in await run_in_threadpool(found.store.streams.windows, stream_id, after, 100):
            after = report.index
            yield f"id: {after}\nevent: window\ndata: {report.model_dump_json()}\n\n"
            sent = True
        state = json.dumps({"state": row.state, "reason": row.reason})
        mark = f"id: {after}\n" if after >= 0 else ""
        if state != said:
            said, sent = state, True
            yield f"{mark}event: state\ndata: {state}\n\n"
        if not row.is_open and not sent:
            yield f"{mark}event: end\ndata: {StreamView.of(row).model_dump_json()}\n\n"
            return
        silent_s = 0.0 if sent else silent_s + _POLL_S
        if silent_s >= _KEEP_ALIVE_S:
            silent_s = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(_POLL_S)


def stop(found: WebServices, stream_id: str) -> None:
    """Ask for its end. Raises InputError (not_found)."""
    stream_of(found, stream_id)
    found.store.streams.stop(stream_id)
    _noted(found, "stream.stop", stream_id)


def _noted(found: WebServices, action: str, stream_id: str) -> None:
    actor = found.actor
    found.store.actions.add(actor.tenant, actor.id, action, job_id=stream_id)


def stream_of(found: WebServices, stream_id: str) -> StreamRow:
    """The stream. Raises InputError (not_found), for another tenant's too."""
    row = found.store.streams.get(stream_id)
    if row is None or row.tenant != found.actor.tenant:
        raise InputError(
            f"no stream {stream_id!r}.",
            code=ReasonCode.NOT_FOUND,
            fix="GET /v1/streams lists the newest ones.",
        )
    return row
