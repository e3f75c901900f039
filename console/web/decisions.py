"""/v1/jobs/{id}/decisions: what moderators make of a verdict."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from console.web.examples import PROBLEMS
from console.web.services import WebServicesDep
from unmask.decision import Decision, DecisionGiven
from unmask.frozen import Frozen
from workers.jobs.decide import decide

router = APIRouter(prefix="/v1", tags=["decisions"])


class DecisionList(Frozen):
    """The log of one job, the oldest first."""

    decisions: tuple[Decision, ...]


@router.post(
    "/jobs/{job_id}/decisions",
    status_code=201,
    response_model=Decision,
    summary="Decide on a verdict",
    responses=PROBLEMS,
)
def add(job_id: str, given: DecisionGiven, found: WebServicesDep) -> JSONResponse:
    """Uphold, overturn or skip a verdict. Decisions are added; none can be changed or deleted."""
    made = decide(found.store, job_id, given)
    return JSONResponse(
        made.model_dump(mode="json"),
        status_code=201,
        headers={"Location": f"/v1/jobs/{job_id}/decisions"},
    )


@router.get(
    "/jobs/{job_id}/decisions",
    response_model=DecisionList,
    summary="The decisions on a job",
    responses=PROBLEMS,
)
def index(job_id: str, found: WebServicesDep) -> DecisionList:
    """Who found what, when and why, on every generation of the job; the oldest first."""
    return DecisionList(decisions=tuple(found.store.decisions.of(found.job(job_id).id)))
