"""/v1/jobs/{id}/rendition: the video in a form that every browser plays, made when it is asked for."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, JSONResponse
from redis.exceptions import RedisError

from console.web.described.examples import PROBLEMS
from console.web.player.kept_media import WEBM, kept_media
from console.web.player.media_routes import IN_RANGES, media_gone
from console.web.player.sent_file import SentFile
from console.web.problems import Refusal
from console.web.services import WebServices, WebServicesDep
from unmask.errors import BrokerError
from unmask.messages import Reason
from workers.jobs.renditions.order_rendition import BeingMade, order
from workers.jobs.renditions.shelf import RenditionNote, Shelf
from workers.store import JobRow

router = APIRouter(prefix="/v1", tags=["media"])

_LOOK_AGAIN_S = 2
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "VP9 in WebM, pictures alone, at most 720 lines, upright, in square pixels. "
        "Its time 0 is the first frame: the clock of the verdict.",
        "content": {WEBM: {"schema": {"type": "string", "format": "binary"}}},
    },
    202: {"model": BeingMade, "description": "It is being made: ask again in a moment."},
    **IN_RANGES,
    **PROBLEMS,
}


@router.get(
    "/jobs/{job_id}/rendition",
    summary="The video as every browser plays it",
    operation_id="get_rendition",
    response_class=FileResponse,
    responses=_RESPONSES,
)
def rendition(job_id: str, found: WebServicesDep) -> Response:
    """Asking for it has it made, once, by an ingest worker, in the decoder's sandbox.

    It is bounded in time and size, and may end early then; very long videos have fewer pictures per
    second. It goes by UNMASK_RENDITION_RETENTION_HOURS, and with the media itself.
    """
    job = found.job(job_id)
    state = rendition_state(found, job)
    if state is None:
        raise media_gone(job_id)
    if isinstance(state, BeingMade):
        headers = {"Retry-After": str(_LOOK_AGAIN_S)}
        return JSONResponse(state.model_dump(), status_code=202, headers=headers)
    if state.failure is not None:
        said = hidden(job, state.failure)
        raise Refusal(422, said.code.value, said.message, fix="Download the media itself.")
    path = Shelf(found.settings).video(job_id)
    try:
        status = path.stat()
    except FileNotFoundError as error:  # its time was up just now
        raise media_gone(job_id) from error
    return SentFile(path, status, WEBM, f"{job.filename}.webm")


def rendition_state(found: WebServices, job: JobRow) -> RenditionNote | BeingMade | None:
    """What there is of it, having it made where there is nothing. None where the media is gone.

    Raises BrokerError where nobody can be asked just now.
    """
    if job.submission.address is None and kept_media(found.settings, job) is None:
        return None
    note = Shelf(found.settings).note(job.id)
    if note is not None:
        return note
    try:
        return order(found.redis, found.settings, job)
    except RedisError as error:
        raise BrokerError(f"Redis does not answer ({error}).", fix="Try again.") from error


def hidden(job: JobRow, reason: Reason) -> Reason:
    """A reason with the name its client knows in the place of the server's path."""
    message = reason.message.replace(job.path, job.filename)
    return reason.model_copy(update={"message": message})
