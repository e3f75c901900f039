"""The page of live streams: a list, and one page per stream with a lane per face."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse

from console.show import stream_lanes
from console.web.page import html
from console.web.services import WebServicesDep
from console.web.streams import stop, stream_of
from unmask.policy import load_policy

router = APIRouter(include_in_schema=False)
_SHOWN = 100


@router.get("/streams")
def streams(found: WebServicesDep) -> HTMLResponse:
    """The newest streams."""
    rows, _ = found.store.streams.newest(found.actor.tenant, _SHOWN)
    return html(
        found,
        "streams.html",
        title="Live streams",
        rows=rows,
        refresh=any(row.is_open for row in rows),
    )


@router.post("/streams/{stream_id}/stop")
def end(stream_id: str, found: WebServicesDep) -> RedirectResponse:
    """The button under the stream's name."""
    stop(found, stream_id)
    return RedirectResponse(f"{found.root}/streams/{stream_id}", status_code=303)


@router.get("/streams/{stream_id}")
def stream(stream_id: str, found: WebServicesDep) -> HTMLResponse:
    """One stream: its state, its lanes, where the time went."""
    row = stream_of(found, stream_id)
    first = row.next_window - stream_lanes.SHOWN - 1
    windows = found.store.streams.windows(row.id, max(-1, first), stream_lanes.SHOWN)
    policy = load_policy(row.wanted.policy or found.settings.policy)
    lanes = [stream_lanes.verdict_lane(windows), *stream_lanes.face_lanes(windows, policy)]
    return html(
        found,
        "stream.html",
        title=row.shown,
        row=row,
        lanes=lanes if windows else [],
        windows=windows,
        spent=stream_lanes.time_spent([window.accounted for window in windows]),
        refresh=row.is_open,
    )
