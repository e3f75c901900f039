"""/v1/jobs/{id}/decisions: what moderators make of a verdict; /v1/decisions: all of a tenant's."""

from itertools import takewhile
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from console.web.described.examples import PROBLEMS
from console.web.services import WebServices, WebServicesDep
from unmask.frozen import Frozen
from unmask.verdict.decision import Decision, DecisionGiven
from workers.jobs.orders.decide import decide

router = APIRouter(prefix="/v1", tags=["decisions"])


class DecisionList(Frozen):
    """The log of one job, the oldest first."""

    decisions: tuple[Decision, ...]


class DecisionPage(Frozen):
    """Some of a tenant's decisions, the oldest first."""

    decisions: tuple[Decision, ...]
    next_after: int
    """Ask with it as `after` for those that come later, now or tomorrow."""


def record(found: WebServices, job_id: str, given: DecisionGiven) -> Decision:
    """Decide as the request's actor. Raises InputError as `decide` does."""
    found.job(job_id)
    actor = found.actor
    return decide(
        found.store,
        job_id,
        named(found, given),
        actor=actor.id if actor.is_known else None,
        opinion_of=actor.id,
        settles="decisions.settle" in actor.permissions,
    )


def named(found: WebServices, given: DecisionGiven) -> DecisionGiven:
    """With the name of whoever is logged in; where nobody is, with the name sent."""
    if not found.actor.is_known:
        return given
    return given.model_copy(update={"moderator": found.actor.name})


@router.post(
    "/jobs/{job_id}/decisions",
    status_code=201,
    response_model=Decision,
    summary="Decide on a verdict",
    operation_id="create_decision",
    responses=PROBLEMS,
)
def add(job_id: str, given: DecisionGiven, found: WebServicesDep) -> JSONResponse:
    """Uphold, overturn or skip a verdict. Decisions are added; none can be changed.

    It carries the name and id of whoever is logged in; where nobody has to log in, the name sent.
    """
    made = record(found, job_id, given)
    return JSONResponse(
        made.model_dump(mode="json"),
        status_code=201,
        headers={"Location": f"{found.root}/v1/jobs/{job_id}/decisions"},
    )


@router.get(
    "/jobs/{job_id}/decisions",
    response_model=DecisionList,
    summary="The decisions on a job",
    operation_id="list_job_decisions",
    responses=PROBLEMS,
)
def index(job_id: str, found: WebServicesDep) -> DecisionList:
    """Who found what, when and why, on every generation of the job; the oldest first."""
    return DecisionList(decisions=tuple(found.store.decisions.of(found.job(job_id).id)))


@router.get(
    "/decisions",
    response_model=DecisionPage,
    summary="Decisions on all jobs",
    operation_id="list_decisions",
    responses=PROBLEMS,
)
def everything(
    found: WebServicesDep,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Only those numbered higher.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> DecisionPage:
    """The oldest first, so that a reader that remembers `next_after` misses none."""
    page = found.store.decisions.page(found.actor.tenant, after, limit)
    # It ends before the first that must not be told yet: that one comes with a later call.
    made = tuple(takewhile(lambda decision: decision.job_id not in found.hidden, page))
    return DecisionPage(decisions=made, next_after=made[-1].id if made else after)
