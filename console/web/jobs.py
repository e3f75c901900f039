"""/v1/jobs: find jobs, follow one, read its verdict and its evidence."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from console.web.answers import JobList, JobView, shown_reasons
from console.web.described.examples import JOB_EXAMPLE, PROBLEMS, UNCHANGED, VERDICT_RESPONSES
from console.web.door import etags
from console.web.problems import problem
from console.web.push.event_stream import until_ended
from console.web.review.blind import first_opinion_wanted, neutral_pictures
from console.web.services import WebServices, WebServicesDep
from unmask.errors import InputError, ReasonCode
from unmask.frozen import Frozen
from unmask.messages import JobState
from unmask.verdict import VerdictLabel
from unmask.verdict.decision import MAX_GENERATION
from workers.store.pages.job_search import JobQuery, Sort

router = APIRouter(prefix="/v1", tags=["jobs"])

_PICTURE_CACHE = "private, max-age=3600"


class JobFilters(Frozen):
    """What GET /v1/jobs takes; a parameter that is not among these answers 422."""

    state: JobState | None = None
    verdict: VerdictLabel | None = None
    p_min: Annotated[float | None, Query(ge=0, le=1)] = None
    """Both ends belong to the range; jobs without a p_fake are in none."""
    p_max: Annotated[float | None, Query(ge=0, le=1)] = None
    created_after: datetime | None = None
    """ISO 8601; that moment belongs to it."""
    created_before: datetime | None = None
    """ISO 8601; that moment does not."""
    tag: Annotated[str | None, Query(max_length=64)] = None
    plugin: Annotated[str | None, Query(max_length=64)] = None
    """A detector's key."""
    external_id: Annotated[str | None, Query(max_length=200)] = None
    sha256: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None
    """Of the media: have we seen this file?"""
    decided: bool | None = None
    """Whether a moderator has decided."""
    sort: Sort = "-created_at"
    """By p_fake, jobs without one count as lowest."""
    limit: Annotated[int, Query(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Query(max_length=500)] = None
    """`next_cursor` of the page before, with the same filters and sort."""


@router.get(
    "/jobs",
    response_model=JobList,
    summary="Find jobs",
    operation_id="list_jobs",
    responses=PROBLEMS,
)
def index(found: WebServicesDep, filters: Annotated[JobFilters, Query()]) -> JobList:
    """Jobs with their state and their verdict's headline, page by page.

    Every filter given must hold. Paging sees each job once, while others are added.
    """
    query = job_query(found, filters)
    page = found.store.search.page(query)
    return JobList(
        jobs=tuple(map(found.view, page.jobs, found.progress_of(page.jobs))),
        next_cursor=page.next_cursor,
    )


def job_query(found: WebServices, filters: JobFilters) -> JobQuery:
    """The search that the filters ask for, without what must not tell its score yet."""
    values = {name: getattr(filters, name) for name in JobFilters.model_fields}
    for name in ("created_after", "created_before"):
        if values[name] is not None and values[name].tzinfo is None:
            values[name] = values[name].replace(tzinfo=UTC)
    return JobQuery(tenant=found.actor.tenant, without=tuple(found.hidden), **values)


@router.get(
    "/jobs/{job_id}",
    response_model=JobView,
    summary="One job",
    operation_id="get_job",
    responses={200: {"content": {"application/json": JOB_EXAMPLE}}, **PROBLEMS},
)
async def show(
    job_id: str,
    request: Request,
    found: WebServicesDep,
    wait: Annotated[
        float, Query(ge=0, le=60, description="Seconds to wait for the job to end.")
    ] = 0,
) -> JobView:
    """State and progress; 200 for every job there is, running, failed or done.

    With `wait`, the answer comes when the job has ended, or after so many seconds as it then is.
    """
    await run_in_threadpool(found.job, job_id)
    if wait > 0:
        await until_ended(request, found, job_id, wait)
    job = await run_in_threadpool(found.job, job_id)
    return await run_in_threadpool(found.view, job)


@router.get(
    "/jobs/{job_id}/verdict",
    summary="The verdict of a job",
    operation_id="get_verdict",
    responses=VERDICT_RESPONSES,
)
def verdict(
    job_id: str,
    request: Request,
    found: WebServicesDep,
    generation: Annotated[
        int | None,
        Query(ge=0, le=MAX_GENERATION, description="Of an earlier run; else the newest."),
    ] = None,
) -> Response:
    """The same bytes as verdict.json, valid against the published schema.

    404 `verdict_not_ready` while the job is waiting or running, 404 `no_verdict` where it failed:
    both say how the job stands. Poll the job, not this address.
    """
    job = found.job(job_id)
    wanted = job.generation if generation is None else generation
    is_done = job.state is JobState.SUCCEEDED or wanted < job.generation
    known = found.store.verdict(job_id, wanted) if is_done else None
    if known is not None:
        return etags.tagged_json(request, known.canonical_json())
    reasons = shown_reasons(job)
    stopped = job.state in {JobState.FAILED, JobState.CANCELLED}
    return problem(
        request,
        status=404,
        code="no_verdict" if stopped else "verdict_not_ready",
        title="No verdict" if stopped else "Not ready",
        detail=reasons[0].message if reasons else f"The job is {job.state.value}.",
        fix="Hand in the video again once the cause is removed."
        if stopped
        else f"Poll /v1/jobs/{job_id} until job_status is succeeded or failed.",
        job_status=job.state.value,
        reasons=[reason.model_dump(mode="json") for reason in reasons],
    )


@router.get(
    "/jobs/{job_id}/evidence/{name}",
    summary="An evidence picture",
    operation_id="get_evidence",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}, "image/jpeg": {}}}, **UNCHANGED, **PROBLEMS},
)
def evidence(job_id: str, name: str, request: Request, found: WebServicesDep) -> Response:
    """A PNG that the verdict's `face_url` or `heatmap_url` names."""
    path = found.picture(found.job(job_id), name)
    if job_id in found.hidden and name not in neutral_pictures(found.store.verdict(job_id)):
        raise first_opinion_wanted()
    try:
        status = None if path is None else path.stat()
    except FileNotFoundError:
        status = None
    if path is None or status is None:
        raise InputError(
            f"job {job_id!r} has no picture {name!r}.",
            code=ReasonCode.NOT_FOUND,
            fix="Use an address from the verdict's `evidence`; pictures may have been deleted.",
        )
    tag = etags.tag_of(f"{status.st_mtime_ns}-{status.st_size}")
    if etags.has(request, tag):
        return etags.not_modified(tag, _PICTURE_CACHE)
    headers = {"ETag": tag, "Cache-Control": _PICTURE_CACHE}
    return FileResponse(path, media_type="image/png", headers=headers, stat_result=status)
