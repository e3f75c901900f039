"""Find jobs as the API does, at addresses that can be shared; and hand videos in."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from console.show import wording
from console.web.answers import Progress
from console.web.intake.submission import by_upload
from console.web.jobs import JobFilters, job_query
from console.web.page import html
from console.web.services import WebServices, WebServicesDep
from unmask.errors import InputError
from unmask.messages import JobState
from unmask.verdict import VerdictLabel
from workers.store import JobRow
from workers.store.clock import now
from workers.store.review.review_rows import Review

router = APIRouter(include_in_schema=False)
_SHOWN = 50
_SHA256_DIGITS = 64
SORTS = {
    "-created_at": "newest first",
    "created_at": "oldest first",
    "-p_fake": "likeliest forged first",
    "p_fake": "least likely forged first",
}


@dataclass(frozen=True, kw_only=True)
class FoundRow:
    """One line of a list."""

    job: JobRow
    progress: Progress
    review: Review | None
    picture: str | None
    """Address of the first evidence picture."""
    held_by: str | None = None
    """Name of whoever holds it just now."""

    @property
    def tag(self) -> str:
        """Suffix of the style class."""
        said = self.job.headline
        if said is not None:
            return said.verdict.value if said.reliable else "inconclusive"
        return "failed" if self.job.state is JobState.FAILED else "inconclusive"

    @property
    def label(self) -> str:
        """The verdict, or how far the job is."""
        said = self.job.headline
        if said is None:
            return wording.JOB_STATES[self.job.state]
        return wording.said(said.verdict, is_reliable=said.reliable)

    @property
    def unfinished(self) -> bool:
        """Whether the page should look again."""
        return self.job.state.is_open


def found_rows(found: WebServices, jobs: Sequence[JobRow]) -> list[FoundRow]:
    """The lines of these jobs."""
    reviews, at = found.store.reviews.of([job.id for job in jobs]), now()
    told = found.progress_of(jobs)
    return [_row(found, j, p, reviews.get(j.id), at) for j, p in zip(jobs, told, strict=True)]


def rows_of(found: WebServices, reviews: Sequence[Review]) -> list[FoundRow]:
    """The lines of what waits for moderators."""
    jobs = found.store.search.some([review.job_id for review in reviews])
    at, done = now(), Progress(phase="done")
    return [_row(found, jobs[r.job_id], done, r, at) for r in reviews if r.job_id in jobs]


def _row(
    found: WebServices, job: JobRow, progress: Progress, review: Review | None, at: str
) -> FoundRow:
    name = review.picture if review is not None else None
    shown = name is not None and found.picture(job, name) is not None
    return FoundRow(
        job=job,
        progress=progress,
        review=review,
        picture=f"{found.root}/v1/jobs/{job.id}/evidence/{name}" if shown else None,
        held_by=review.held_name if review is not None and review.is_held(at) else None,
    )


@router.get("/")
def jobs(request: Request, found: WebServicesDep) -> Response:
    """Jobs that the filters in the address find, a page of them."""
    # A form sends every field: what is empty asks for nothing.
    asked = {name: value for name, value in request.query_params.items() if value.strip()}
    words = asked.pop("q", "").strip()
    if words and (job := found.store.job(words)) and job.tenant == found.actor.tenant:
        return RedirectResponse(f"{found.root}/jobs/{job.id}", status_code=303)
    if words:
        asked |= {"sha256" if len(words) == _SHA256_DIGITS else "external_id": words}
    try:
        filters = JobFilters.model_validate({"limit": _SHOWN} | asked)
        page = found.store.search.page(job_query(found, filters))
    except ValidationError as error:
        first = error.errors()[0]
        where = first["loc"][0] if first["loc"] else "filter"
        return _page(found, asked, words, problem=f"{where}: {first['msg']}.")
    except InputError as error:
        return _page(found, asked, words, problem=error.message)
    onward = page.next_cursor and urlencode({**asked, "cursor": page.next_cursor})
    return _page(found, asked, words, rows=found_rows(found, page.jobs), onward=onward)


def _page(
    found: WebServices,
    asked: dict[str, str],
    words: str,
    *,
    rows: Sequence[FoundRow] = (),
    onward: str | None = None,
    problem: str = "",
) -> HTMLResponse:
    shown = html(
        found,
        "jobs.html",
        title="Jobs",
        rows=rows,
        asked=dict.fromkeys(JobFilters.model_fields, "") | asked,
        words_asked=words,
        is_filtered=bool(asked.keys() - {"sort", "cursor"}),
        onward=onward,
        problem=problem,
        states=list(JobState),
        labels=list(VerdictLabel),
        sorts=SORTS,
        may_submit="jobs.submit" in found.actor.permissions,
        refresh=any(row.unfinished for row in rows),
    )
    shown.status_code = 422 if problem else 200
    return shown


@router.post("/")
async def upload(request: Request, found: WebServicesDep) -> Response:
    """The upload form without its script: one video; then the new job's own page."""
    job, _ = await by_upload(request, found, None)
    return RedirectResponse(f"{found.root}/jobs/{job.id}", status_code=303)
