"""/v1/jobs/{id}/media and /faces: the video that was judged, and where its faces are."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from console.show.face_places import FacePlaces, places
from console.web.described.examples import PROBLEMS
from console.web.player.kept_media import kept_media
from console.web.player.sent_file import SentFile
from console.web.services import WebServicesDep
from unmask.errors import InputError, ReasonCode

router = APIRouter(prefix="/v1", tags=["media"])

_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
IN_RANGES: dict[int | str, dict[str, Any]] = {
    206: {"description": "The ranges asked for.", "content": {"video/*": _FILE}},
    416: {"description": "The file ends before the range begins."},
}


@router.get(
    "/jobs/{job_id}/media",
    summary="The video that was judged",
    operation_id="get_media",
    response_class=FileResponse,
    responses={
        200: {
            "description": "The file as it was handed in; its type is told by its bytes.",
            "content": {"video/*": _FILE, "image/*": _FILE},
        },
        **IN_RANGES,
        **PROBLEMS,
    },
)
def media(job_id: str, found: WebServicesDep) -> Response:
    """Byte for byte, with ranges. 404 once its retention is over, for media that was fetched from an
    address, and for what is no video."""
    job = found.job(job_id)
    kept = kept_media(found.settings, job)
    if kept is None:
        raise media_gone(job_id)
    return SentFile(kept.path, kept.status, kept.content_type, job.filename)


def media_gone(job_id: str) -> InputError:
    """Nothing to watch."""
    return InputError(
        f"the media of job {job_id!r} is not kept here.",
        code=ReasonCode.NOT_FOUND,
        fix="Uploads go after UNMASK_UPLOAD_RETENTION_HOURS; media fetched from an address is its "
        "owner's. The verdict and its evidence stay.",
    )


@router.get(
    "/jobs/{job_id}/faces",
    response_model=FacePlaces,
    summary="Where the faces are",
    operation_id="get_faces",
    responses=PROBLEMS,
)
def faces(
    job_id: str,
    found: WebServicesDep,
    start_ms: Annotated[int, Query(ge=0, description="Of the stretch.")] = 0,
    end_ms: Annotated[int | None, Query(ge=0, description="Of the stretch, included.")] = None,
) -> Response:
    """Boxes of the faces that were scored, look by look, for a player to draw; no score is in it.

    At most 5000 looks in one answer: `next_ms` says where the next one begins. Verdicts from before
    boxes were kept have none.
    """
    job = found.job(job_id)
    verdict = found.store.verdict(job_id, job.generation)
    if verdict is None:
        raise InputError(
            f"job {job_id!r} has no verdict.",
            code=ReasonCode.NOT_FOUND,
            fix=f"Poll /v1/jobs/{job_id} until job_status is succeeded or failed.",
        )
    # As text: FastAPI would look at each of thousands of boxes once more.
    found_places = places(verdict, start_ms, end_ms)
    return Response(found_places.model_dump_json(), media_type="application/json")
