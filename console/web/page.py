"""The page: a list of jobs with an upload form, and one page per job with its verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from console.show import timeline, wording
from console.show.report import environment, stylesheet
from console.web.answers import Progress, shown_reasons
from console.web.decisions import record
from console.web.intake.bodies import form_of
from console.web.intake.submission import by_upload
from console.web.player.screen_of import screen_of
from console.web.services import WebServices, WebServicesDep
from unmask.errors import InputError, ReasonCode
from unmask.messages import JobState
from unmask.verdict import Verdict
from unmask.verdict.decision import MAX_NAME, MAX_RATIONALE, Decision, DecisionGiven
from workers.store import JobRow
from workers.store.job_search import JobQuery

router = APIRouter(include_in_schema=False)
_SCRIPT = Path(__file__).parent / "refresh.js"
_ICON = Path(__file__).parent / "icon.svg"
_SHOWN = 100


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the list."""

    job: JobRow
    progress: Progress
    verdict: Verdict | None
    decision: Decision | None = None
    """The newest one."""

    @property
    def tag(self) -> str:
        """Suffix of the style class."""
        if self.verdict is not None:
            return self.verdict.verdict.value if self.verdict.reliable else "inconclusive"
        return "failed" if self.job.state is JobState.FAILED else "inconclusive"

    @property
    def label(self) -> str:
        """The verdict, or how far the job is."""
        if self.verdict is not None:
            return wording.headline(self.verdict)
        return wording.JOB_STATES[self.job.state]

    @property
    def unfinished(self) -> bool:
        """Whether the page should look again."""
        return self.job.state in {JobState.QUEUED, JobState.RUNNING}


def _row(found: WebServices, job: JobRow, decision: Decision | None = None) -> Row:
    verdict = found.store.verdict(job.id) if job.state is JobState.SUCCEEDED else None
    return Row(job=job, progress=found.progress(job), verdict=verdict, decision=decision)


def html(found: WebServices, template: str, **values: object) -> HTMLResponse:
    """A page of ours from its template."""
    shared = {"actor": found.actor, "root": found.root}
    return HTMLResponse(environment().get_template(template).render(**shared, **values))


@router.get("/")
def jobs(found: WebServicesDep) -> HTMLResponse:
    """The newest jobs."""
    return _list_page(found, JobQuery(tenant=found.actor.tenant, limit=_SHOWN), queue=False)


@router.get("/undecided")
def undecided(found: WebServicesDep) -> HTMLResponse:
    """The moderators' queue."""
    waiting = JobQuery(
        tenant=found.actor.tenant,
        state=JobState.SUCCEEDED,
        decided=False,
        sort="-p_fake",
        limit=_SHOWN,
    )
    return _list_page(found, waiting, queue=True)


def _list_page(found: WebServices, query: JobQuery, *, queue: bool) -> HTMLResponse:
    listed = found.store.search.page(query).jobs
    decided = found.store.decisions.newest([job.id for job in listed])
    rows = [_row(found, job, decided.get(job.id)) for job in listed]
    return html(
        found,
        "jobs.html",
        rows=rows,
        title="To decide" if queue else "Jobs",
        queue=queue,
        refresh=any(row.unfinished for row in rows),
    )


@router.post("/")
async def upload(request: Request, found: WebServicesDep) -> Response:
    """The upload form; then the new job's own page."""
    job, _ = await by_upload(request, found, None)
    return RedirectResponse(f"{found.root}/jobs/{job.id}", status_code=303)


@router.get("/jobs/{job_id}")
def job(job_id: str, found: WebServicesDep) -> HTMLResponse:
    """One job: its verdict and decisions, or how far it is, or why it failed."""
    return _job_page(found, job_id)


def _job_page(
    found: WebServices, job_id: str, *, typed: Mapping[str, str] | None = None, problem: str = ""
) -> HTMLResponse:
    """`typed`: what a form held that was not taken, for the reason `problem`."""
    row = _row(found, found.job(job_id))
    drawing = timeline.draw(row.verdict) if row.verdict is not None else None

    def picture(url: str) -> str | None:
        name = Path(url).name
        return (
            f"{found.root}/v1/jobs/{job_id}/evidence/{name}"
            if found.picture(row.job, name)
            else None
        )

    page = html(
        found,
        "job.html",
        row=row,
        reasons=shown_reasons(row.job),
        drawing=drawing,
        picture=picture,
        screen=screen_of(found, row.job, row.verdict) if row.verdict is not None else None,
        title=row.job.filename,
        refresh=row.unfinished,
        decisions=found.store.decisions.of(job_id),
        longest={"moderator": MAX_NAME, "rationale": MAX_RATIONALE},
        typed=typed or {},
        problem=problem,
    )
    page.status_code = 422 if problem else 200
    return page


@router.post("/jobs/{job_id}/decisions")
async def decided(job_id: str, request: Request, found: WebServicesDep) -> Response:
    """The decision form; then the job's page again, with what was typed where it is not taken."""
    return await run_in_threadpool(_decided, found, job_id, await form_of(request))


def _decided(found: WebServices, job_id: str, typed: dict[str, str]) -> Response:
    try:
        given = DecisionGiven.model_validate(typed | {"consent": "consent" in typed})
        record(found, job_id, given)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{first['loc'][0] if first['loc'] else 'The form'}: {first['msg']}."
    except InputError as error:
        if error.code is not ReasonCode.CONFIG_INVALID:
            raise
        problem = f"{error.message.capitalize()} {error.fix}"
    else:
        return RedirectResponse(f"{found.root}/jobs/{job_id}#decisions", status_code=303)
    return _job_page(found, job_id, typed=typed, problem=problem)


@router.get("/static/style.css")
def style() -> Response:
    """The style sheet that the reports carry inside."""
    return Response(stylesheet(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@router.get("/static/refresh.js")
def script() -> Response:
    """The one script."""
    return Response(_SCRIPT.read_text(encoding="utf-8"), media_type="text/javascript")


@router.get("/static/icon.svg")
def icon() -> Response:
    """Shown in the browser's tab."""
    return Response(
        _ICON.read_bytes(), media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"}
    )
