"""/v1/jobs: hand in a video, follow it, read its verdict and its evidence."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import ValidationError
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from console.web.answers import JobList, JobView, PathSubmission, shown_reasons
from console.web.examples import JOB_EXAMPLE, PROBLEMS, SUBMIT_BODY, VERDICT_RESPONSES
from console.web.media_roots import allowed_path
from console.web.problems import problem
from console.web.services import WebServices, WebServicesDep
from console.web.uploads import receive
from ingest.decoding.sampling import parse_policy
from ingest.fetching import places
from unmask.errors import ConfigError, InputError, ReasonCode
from unmask.messages import JobState
from unmask.policy import DEFAULT
from workers.jobs.submit import create, enqueue_ingest
from workers.store import JobRow

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1", tags=["jobs"])

_MAX_TEXT_BYTES = 64 << 10
_MAX_NAME = 255
_REFERENCE = (
    'Send {"path": "/media/clip.mp4"} or {"url": "https://..."}, with plugins, policy and sample '
    "if you like."
)


@router.post(
    "/jobs",
    status_code=202,
    response_model=JobView,
    summary="Hand in a video",
    responses={
        200: {"description": "The job that this Idempotency-Key already made.", "model": JobView},
        202: {"description": "A new job.", "content": {"application/json": JOB_EXAMPLE}},
        **PROBLEMS,
    },
    openapi_extra={"requestBody": SUBMIT_BODY},
)
async def hand_in(
    request: Request,
    found: WebServicesDep,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            description="The same key and body give the same job; with another body, 409.",
        ),
    ] = None,
) -> Response:
    """Upload a video as multipart/form-data, or name one that the server can read as JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        job, created = await _by_reference(request, found, idempotency_key)
    else:
        job, created = await by_upload(request, found, idempotency_key)
    view = JobView.of(job, await run_in_threadpool(found.progress, job))
    return JSONResponse(
        view.model_dump(mode="json"),
        status_code=202 if created else 200,
        headers={"Location": f"/v1/jobs/{job.id}"},
    )


async def short_body(request: Request) -> bytes:
    """A body that is text. Raises InputError (too_large) before it fills the memory."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_TEXT_BYTES:
            raise InputError("the body is too long.", code=ReasonCode.TOO_LARGE)
    return bytes(body)


async def _by_reference(
    request: Request, found: WebServices, key: str | None
) -> tuple[JobRow, bool]:
    try:
        wanted = PathSubmission.model_validate_json(await short_body(request))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise InputError(
            f"{where}: {first['msg']}.",
            code=ReasonCode.CONFIG_INVALID,
            fix=_REFERENCE,
        ) from error
    if (wanted.path is None) == (wanted.url is None):
        raise InputError(
            "name the video by `path` or by `url`.", code=ReasonCode.CONFIG_INVALID, fix=_REFERENCE
        )
    media: Path | str
    if wanted.url is not None:
        places.check(wanted.url, found.settings, buckets=found.settings.media_buckets)
        media, name = wanted.url, places.shown(wanted.url)
    else:
        media = allowed_path(wanted.path or "", found.settings.media_roots)
        name = media.name
    return await run_in_threadpool(
        _submit, found, media, shown_name(name), Options.of(wanted), key=key
    )


async def by_upload(request: Request, found: WebServices, key: str | None) -> tuple[JobRow, bool]:
    """Stream the form's file to disk and submit it; it is removed where a job has it already."""
    upload = await receive(request, found.settings.uploads(), found.settings.max_bytes)
    given = {name: value for name, value in upload.fields.items() if value}
    options = Options(
        plugins=tuple(k.strip() for k in given.get("plugins", "").split(",") if k.strip()),
        policy=given.get("policy"),
        sample=given.get("sample"),
    )
    created = False
    try:
        job, created = await run_in_threadpool(
            _submit,
            found,
            upload.path,
            shown_name(upload.filename),
            options,
            key=key,
            sha256=upload.sha256,
        )
    finally:
        if not created:
            with suppress(OSError):
                upload.path.unlink()
    return job, created


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a client wants its video judged; empty: as the server is set."""

    plugins: tuple[str, ...] = ()
    policy: str | None = None
    sample: str | None = None

    @classmethod
    def of(cls, wanted: PathSubmission) -> "Options":
        """The options of a JSON body."""
        return cls(plugins=wanted.plugins or (), policy=wanted.policy, sample=wanted.sample)


def _submit(
    found: WebServices,
    media: Path | str,
    name: str,
    options: Options,
    *,
    key: str | None,
    sha256: str | None = None,
) -> tuple[JobRow, bool]:
    """Write the job row and queue it; True where it is new."""
    # A policy may also be a file of the server's: clients must not choose which file it reads.
    if options.policy not in {None, DEFAULT.id, found.settings.policy}:
        raise ConfigError(
            f"this server has no policy {options.policy!r}.",
            fix=f"Leave it out, or name {DEFAULT.id!r}.",
        )
    parse_policy(options.sample or found.settings.sample)
    job, created = create(
        found.store,
        found.settings,
        media,
        filename=name,
        plugins=options.plugins,
        policy=options.policy,
        sample=options.sample,
        idempotency_key=key,
        body_sha256=sha256,
    )
    if created:
        try:
            enqueue_ingest(found.redis, job.submission)
        except RedisError as error:
            # The row is what counts: the sweeper queues the job once Redis is back.
            log.warning("api.queued_later", job_id=job.id, error=str(error))
    return job, created


def shown_name(name: str) -> str:
    """A client's file name as it may be shown: no folders, no control characters, not endless.

    >>> shown_name("C:\\\\clips\\\\a\\tb.mp4"), shown_name("../../x.mp4"), shown_name("")
    ('a b.mp4', 'x.mp4', 'upload')
    """
    # Browsers percent-encode the three characters that would break the header.
    for code, character in (("%22", '"'), ("%0D", " "), ("%0A", " ")):
        name = name.replace(code, character)
    bare = name.replace("\\", "/").rpartition("/")[2]
    clean = "".join(c if c.isprintable() else " " for c in bare).strip()
    return clean[:_MAX_NAME] or "upload"


@router.get("/jobs", response_model=JobList, summary="The newest jobs", responses=PROBLEMS)
def index(
    found: WebServicesDep,
    state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
    undecided: Annotated[
        bool,
        Query(description="Judged and not decided on, the likeliest forged first. Leaves `state`."),
    ] = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> JobList:
    """Jobs with their state and progress, the newest first."""
    jobs = found.store.undecided(limit) if undecided else found.store.jobs(limit, state)
    return JobList(jobs=tuple(JobView.of(job, found.progress(job)) for job in jobs))


@router.get(
    "/jobs/{job_id}",
    response_model=JobView,
    summary="One job",
    responses={200: {"content": {"application/json": JOB_EXAMPLE}}, **PROBLEMS},
)
def show(job_id: str, found: WebServicesDep) -> JobView:
    """State and progress; 200 for every job there is, running, failed or done."""
    job = found.job(job_id)
    return JobView.of(job, found.progress(job))


@router.get("/jobs/{job_id}/verdict", summary="The verdict of a job", responses=VERDICT_RESPONSES)
def verdict(job_id: str, request: Request, found: WebServicesDep) -> Response:
    """The same bytes as verdict.json, valid against the published schema.

    404 `verdict_not_ready` while the job is waiting or running, 404 `no_verdict` where it failed:
    both say how the job stands. Poll the job, not this address.
    """
    job = found.job(job_id)
    known = found.store.verdict(job_id) if job.state is JobState.SUCCEEDED else None
    if known is not None:
        return Response(known.canonical_json(), media_type="application/json")
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
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}}, **PROBLEMS},
)
def evidence(job_id: str, name: str, found: WebServicesDep) -> FileResponse:
    """A PNG that the verdict's `face_url` or `heatmap_url` names."""
    path = found.picture(found.job(job_id), name)
    if path is None:
        raise InputError(
            f"job {job_id!r} has no picture {name!r}.",
            code=ReasonCode.NOT_FOUND,
            fix="Use an address from the verdict's `evidence`; pictures may have been deleted.",
        )
    return FileResponse(
        path, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"}
    )
