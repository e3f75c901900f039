"""POST /v1/jobs: hand in a video, as a form with its bytes or as JSON that names where it lies."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter, ValidationError
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from console.web.answers import JobView, PathSubmission
from console.web.described.examples import JOB_EXAMPLE, PROBLEMS, SUBMIT_BODY
from console.web.intake.bodies import short_body
from console.web.intake.media_roots import allowed_path
from console.web.intake.uploads import HEAD_BYTES, Upload, empty_file, receive
from console.web.services import WebServices, WebServicesDep
from ingest.decoding.sampling import parse_policy
from ingest.fetching import places
from ingest.sources import sniff
from unmask.errors import ConfigError, InputError, ReasonCode
from unmask.messages import JobState
from unmask.policy import DEFAULT
from unmask.requests.job_details import JobDetails
from unmask.system.hashing import file_sha256
from workers.jobs.submit import create, enqueue_ingest
from workers.store import JobRow
from workers.store.pages.job_search import JobQuery

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1", tags=["jobs"])

_MAX_NAME = 255
_REFERENCE = (
    'Send {"path": "/media/clip.mp4"} or {"url": "https://..."}, with plugins, policy and sample '
    "if you like."
)
_METADATA = TypeAdapter(dict[str, Any])
_STOPPED = {JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a client wants its video judged; empty: as the server is set."""

    plugins: tuple[str, ...] = ()
    policy: str | None = None
    sample: str | None = None
    reuse: bool = False
    details: JobDetails = field(default_factory=JobDetails)

    @classmethod
    def of(cls, wanted: PathSubmission) -> "Options":
        """The options of a JSON body."""
        return cls(
            plugins=wanted.plugins or (),
            policy=wanted.policy,
            sample=wanted.sample,
            reuse=wanted.reuse,
            details=JobDetails.model_validate(
                wanted.model_dump(include=set(JobDetails.model_fields))
            ),
        )

    @classmethod
    def of_form(cls, fields: dict[str, str]) -> "Options":
        """The options of a form's fields. Raises InputError (config_invalid)."""
        given = {name: value for name, value in fields.items() if value}
        try:
            details = JobDetails.model_validate(
                {
                    "external_id": given.get("external_id"),
                    "metadata": _METADATA.validate_json(given.get("metadata", "{}")),
                    "tags": _listed(given.get("tags", "")),
                    "priority": given.get("priority", "batch"),
                }
            )
            reuse = TypeAdapter(bool).validate_python(given.get("reuse", "false"))
        except ValidationError as error:
            raise invalid(error, "Send each form field as the API's description has it.") from error
        return cls(
            plugins=_listed(given.get("plugins", "")),
            policy=given.get("policy"),
            sample=given.get("sample"),
            reuse=reuse,
            details=details,
        )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def invalid(error: ValidationError, fix: str) -> InputError:
    """What is wrong with a body, in a sentence."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return InputError(f"{where}: {first['msg']}.", code=ReasonCode.CONFIG_INVALID, fix=fix)


@router.post(
    "/jobs",
    status_code=202,
    response_model=JobView,
    summary="Hand in a video",
    operation_id="create_job",
    responses={
        200: {"description": "A job that was already there.", "model": JobView},
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
    view = await run_in_threadpool(found.view, job)
    return JSONResponse(
        view.model_dump(mode="json"),
        status_code=202 if created else 200,
        headers={"Location": f"{found.root}/v1/jobs/{job.id}"},
    )


async def _by_reference(
    request: Request, found: WebServices, key: str | None
) -> tuple[JobRow, bool]:
    try:
        wanted = PathSubmission.model_validate_json(await short_body(request))
    except ValidationError as error:
        raise invalid(error, _REFERENCE) from error
    return await run_in_threadpool(submit_reference, found, wanted, key=key)


def submit_reference(
    found: WebServices, wanted: PathSubmission, *, key: str | None
) -> tuple[JobRow, bool]:
    """Submit a video that the server can read or fetch; True where the job is new."""
    if (wanted.path is None) == (wanted.url is None):
        raise InputError(
            "name the video by `path` or by `url`.", code=ReasonCode.CONFIG_INVALID, fix=_REFERENCE
        )
    media: Path | str
    if wanted.url is not None:
        places.check(wanted.url, found.settings, buckets=found.settings.media_buckets)
        found.quotas.expect(found.actor, 1)
        media, name = wanted.url, places.shown(wanted.url)
    else:
        media = allowed_path(wanted.path or "", found.settings.media_roots)
        name = media.name
        check_content(media)
    return _submit(found, media, shown_name(name), Options.of(wanted), key=key)


def check_content(media: Path) -> None:
    """Refuse what is no media at once, as an upload would be. Raises MediaRefused."""
    try:
        with media.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return  # ingest may have rights that the API lacks; else it says why it cannot
    if not head:
        raise empty_file()
    sniff(head, shown_name(media.name))


async def by_upload(request: Request, found: WebServices, key: str | None) -> tuple[JobRow, bool]:
    """Stream the form's file to disk and submit it; it is removed where a job has it already."""
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdigit() else 0
    await run_in_threadpool(found.quotas.expect, found.actor, size)
    upload = await receive(request, found.settings.uploads(), found.settings.max_bytes)
    created = False
    try:
        job, created = await run_in_threadpool(_submit_upload, found, upload, key)
    finally:
        if not created:
            with suppress(OSError):
                upload.path.unlink()
    return job, created


def _submit_upload(found: WebServices, upload: Upload, key: str | None) -> tuple[JobRow, bool]:
    options = Options.of_form(upload.fields)
    return _submit(
        found, upload.path, shown_name(upload.filename), options, key=key, sha256=upload.sha256
    )


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
    check_policy(found, options.policy)
    parse_policy(options.sample or found.settings.sample)
    if options.reuse:
        if isinstance(media, Path):
            sha256 = sha256 or file_sha256(media)
        known = None if sha256 is None else _same_bytes(found, sha256)
        if known is not None:
            return known, False
    size = media.stat().st_size if isinstance(media, Path) else 0
    with found.quotas.charged(found.actor, size) as charge:
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
            tenant=found.actor.tenant,
            details=options.details,
            submitted_by=found.actor.id if found.actor.is_known else None,
        )
        charge.kept = created
    if created:
        try:
            enqueue_ingest(found.redis, job.submission, priority=job.details.priority)
        except RedisError as error:
            # The row is what counts: the sweeper queues the job once Redis is back.
            log.warning("api.queued_later", job_id=job.id, error=str(error))
    return job, created


def check_policy(found: WebServices, policy: str | None) -> None:
    """Raises ConfigError for a policy that this server does not offer."""
    # A policy may also be a file of the server's: clients must not choose which file it reads.
    if policy not in {None, DEFAULT.id, found.settings.policy}:
        raise ConfigError(
            f"this server has no policy {policy!r}.",
            fix=f"Leave it out, or name {DEFAULT.id!r}.",
        )


def _same_bytes(found: WebServices, sha256: str) -> JobRow | None:
    """The tenant's newest job on these bytes that has a verdict, or is on its way to one."""
    query = JobQuery(tenant=found.actor.tenant, sha256=sha256, limit=20)
    jobs = found.store.search.page(query).jobs
    return next((job for job in jobs if job.state not in _STOPPED), None)


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
