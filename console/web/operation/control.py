"""Cancel, run again, erase: what is done to a job after it was handed in; and the receipts."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from console.web.answers import JobView
from console.web.described.examples import PROBLEMS
from console.web.intake.submission import check_policy
from console.web.services import WebServicesDep
from ingest.decoding.sampling import parse_policy
from unmask.errors import InputError, ReasonCode
from unmask.frozen import Frozen
from workers.jobs.orders.cancel import cancel
from workers.jobs.orders.rerun import rerun
from workers.jobs.removal.erase import erase
from workers.jobs.removal.receipts import public_key, signing_key
from workers.store.erasure import Receipt

router = APIRouter(prefix="/v1", tags=["jobs"])


class RerunWanted(Frozen):
    """What is to be otherwise this time; what is left out stays as it was."""

    plugins: tuple[str, ...] = ()
    policy: str | None = Field(default=None, max_length=200)
    sample: str | None = Field(default=None, max_length=64)


class ReceiptList(Frozen):
    """A tenant's receipts, the newest first."""

    receipts: tuple[Receipt, ...]
    next_cursor: str | None
    """Ask with it as `cursor` for the next page; null on the last one."""


@router.post(
    "/jobs/{job_id}/cancel",
    response_model=JobView,
    summary="Cancel a job",
    operation_id="cancel_job",
    responses=PROBLEMS,
)
def cancel_job(job_id: str, found: WebServicesDep) -> JobView:
    """A queued job is never begun; a running one is stopped, and its crops are deleted.

    A job that had finished stays as it is, and is answered so.
    """
    found.job(job_id)
    cancel(found.store, found.redis, job_id, actor=found.actor.id)
    job = found.job(job_id)
    return found.view(job)


@router.post(
    "/jobs/{job_id}/rerun",
    status_code=202,
    response_model=JobView,
    summary="Run a job again",
    operation_id="rerun_job",
    responses=PROBLEMS,
)
def rerun_job(
    job_id: str, found: WebServicesDep, wanted: RerunWanted | None = None
) -> JSONResponse:
    """Judge the same media again, with today's weights: a new generation. Earlier verdicts stay."""
    found.job(job_id)
    wanted = wanted or RerunWanted()
    check_policy(found, wanted.policy)
    if wanted.sample is not None:
        parse_policy(wanted.sample)
    with found.quotas.charged(found.actor, 0) as charge:
        job = rerun(
            found.store,
            found.redis,
            found.settings,
            job_id,
            plugins=wanted.plugins,
            policy=wanted.policy,
            sample=wanted.sample,
            actor=found.actor.id,
        )
        charge.kept = True
    view = found.view(job)
    return JSONResponse(view.model_dump(mode="json"), status_code=202)


@router.delete(
    "/jobs/{job_id}",
    response_model=Receipt,
    summary="Erase a job",
    operation_id="erase_job",
    responses=PROBLEMS,
)
def erase_job(job_id: str, found: WebServicesDep) -> Receipt:
    """Delete upload, crops, evidence, scores, verdicts, decisions and events of the job.

    A running job is stopped first. What stays is this receipt, signed with the server's key;
    asked again, the same receipt comes. Media handed in by path or address is the caller's own.
    """
    return erase(
        found.store,
        found.redis,
        found.settings,
        job_id,
        tenant=found.actor.tenant,
        actor=found.actor.id,
    )


@router.get(
    "/receipts",
    response_model=ReceiptList,
    summary="Receipts of erasures",
    operation_id="list_receipts",
    responses=PROBLEMS,
)
def receipts(
    found: WebServicesDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[
        str | None, Query(max_length=500, description="`next_cursor` of the page before.")
    ] = None,
) -> ReceiptList:
    """The newest first."""
    rows, after = found.store.erasure.page(found.actor.tenant, limit, cursor)
    return ReceiptList(receipts=tuple(rows), next_cursor=after)


@router.get(
    "/receipts/{job_id}",
    response_model=Receipt,
    summary="The receipt of one erasure",
    operation_id="get_receipt",
    responses=PROBLEMS,
)
def receipt(job_id: str, found: WebServicesDep) -> Receipt:
    """What was removed of an erased job, when, and for whom."""
    known = found.store.erasure.receipt(job_id)
    if known is None or known.tenant != found.actor.tenant:
        raise InputError(
            f"no receipt of job {job_id!r}.",
            code=ReasonCode.NOT_FOUND,
            fix="DELETE /v1/jobs/{id} answers with one.",
        )
    return known


@router.get(
    "/receipt-key",
    summary="The key that receipts are signed with",
    operation_id="get_receipt_key",
)
def receipt_key(found: WebServicesDep) -> dict[str, Any]:
    """A JWK: any JOSE library checks a receipt with it (alg Ed25519)."""
    return public_key(signing_key(found.settings.data_dir))
