"""The page: a list of jobs with an upload form, and one page a job with its verdict."""

from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from console import timeline, wording
from console.api.jobs import by_upload
from console.api.state import Service, ServiceDep
from console.api.views import Progress, shown_reasons
from console.report import environment, stylesheet
from unmask.messages import JobState
from unmask.verdict import Verdict
from workers.store import JobRow

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


def _row(found: Service, job: JobRow) -> Row:
    verdict = found.store.verdict(job.id) if job.state is JobState.SUCCEEDED else None
    return Row(job=job, progress=found.progress(job), verdict=verdict)


def _html(template: str, **values: object) -> HTMLResponse:
    return HTMLResponse(environment().get_template(template).render(**values))


@router.get("/")
def jobs(found: ServiceDep) -> HTMLResponse:
    """The newest jobs."""
    rows = [_row(found, job) for job in found.store.jobs(limit=_SHOWN)]
    return _html("jobs.html", rows=rows, title="Jobs", refresh=any(row.unfinished for row in rows))


@router.post("/")
async def upload(request: Request, found: ServiceDep) -> Response:
    """The upload form; then the new job's own page."""
    job, _ = await by_upload(request, found, None)
    return RedirectResponse(f"/jobs/{job.id}", status_code=303)


@router.get("/jobs/{job_id}")
def job(job_id: str, found: ServiceDep) -> HTMLResponse:
    """One job: its verdict, or how far it is, or why it failed."""
    row = _row(found, found.job(job_id))
    drawing = timeline.draw(row.verdict) if row.verdict is not None else None

    def picture(url: str) -> str | None:
        name = Path(url).name
        return f"/v1/jobs/{job_id}/evidence/{name}" if found.picture(row.job, name) else None

    return _html(
        "job.html",
        row=row,
        reasons=shown_reasons(row.job),
        drawing=drawing,
        picture=picture,
        title=row.job.filename,
        refresh=row.unfinished,
    )


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
