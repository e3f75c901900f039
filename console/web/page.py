"""The page of one job: its verdict and decisions, or how far it is; and what every page shares."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from console.show import timeline
from console.show.report import environment, stylesheet
from console.web.answers import shown_reasons
from console.web.player.screen_of import screen_of
from console.web.review.blind import neutral_pictures
from console.web.services import WebServices, WebServicesDep
from unmask.frozen import Frozen
from unmask.messages import JobState
from unmask.requests.review_rules import Care
from unmask.verdict.decision import MAX_NAME, MAX_RATIONALE
from workers.store.clock import now
from workers.store.review.review_rows import Review
from workers.store.review.review_table import Holder

router = APIRouter(include_in_schema=False)
_HERE = Path(__file__).parent
_NOTHING: Mapping[str, Sequence[str]] = {}


class Preferences(Frozen):
    """What a person has chosen, or the installation for them."""

    care: Care
    keys: bool
    """Whether single keys do something."""


def preferences(found: WebServices) -> Preferences:
    """Those of the request's actor."""
    chosen = found.store.reviews.preferences(found.actor.id)
    names = Care.model_fields
    care = Care(**{n: bool(chosen[n]) for n in names if n in chosen}) if chosen else None
    rules = found.rules
    return Preferences(
        care=(care or rules.care).with_at_least(rules.care_at_least),
        keys=bool(chosen.get("keys", True)),
    )


def html(found: WebServices, template: str, **values: object) -> HTMLResponse:
    """A page of ours from its template."""
    shared = {
        "actor": found.actor,
        "root": found.root,
        "preferences": preferences(found),
        "may_decide": "decisions.make" in found.actor.permissions,
        "now": now(),
    }
    return HTMLResponse(environment().get_template(template).render(**shared, **values))


def _is_held_again(found: WebServices, review: Review) -> bool:
    """Whether the actor holds it: also after a reload, where nobody took it in between."""
    if review.held_by != found.actor.id:
        return False
    holder = Holder(found.actor.id, review.held_name or "")
    return found.store.reviews.hold(review.job_id, review.held_queue or "", holder, found.rules)


@router.get("/jobs/{job_id}")
def job(job_id: str, request: Request, found: WebServicesDep) -> HTMLResponse:
    """One job: its verdict and decisions, or how far it is, or why it failed."""
    asked = request.query_params
    return job_page(found, job_id, typed={name: asked.getlist(name) for name in asked})


def job_page(
    found: WebServices,
    job_id: str,
    *,
    typed: Mapping[str, Sequence[str]] = _NOTHING,
    problem: str = "",
    status: int = 200,
) -> HTMLResponse:
    """`typed`: what the decision form holds; where it was not taken, for the reason `problem`.

    To whoever holds the job in a blind queue and has not said what they think, it shows who is in
    the video, and nothing that a detector said.
    """
    row = found.job(job_id)
    verdict = found.store.verdict(job_id) if row.state is JobState.SUCCEEDED else None
    is_blind = job_id in found.hidden
    review = found.store.reviews.get(job_id)
    is_mine = review is not None and _is_held_again(found, review)
    neutral = neutral_pictures(verdict) if is_blind else frozenset()

    def picture(url: str) -> str | None:
        name = Path(url).name
        if is_blind and name not in neutral:
            return None
        is_there = found.picture(row, name) is not None
        return f"{found.root}/v1/jobs/{job_id}/evidence/{name}" if is_there else None

    first = review and found.store.reviews.first_opinion(job_id, review.generation, found.actor.id)
    page = html(
        found,
        "blind.html" if is_blind else "job.html",
        job=row,
        verdict=verdict,
        progress=found.progress(row),
        reasons=shown_reasons(row),
        drawing=timeline.draw(verdict) if verdict is not None and not is_blind else None,
        picture=picture,
        screen=None if verdict is None else screen_of(found, row, verdict),
        title=row.filename,
        refresh=row.state.is_open,
        decisions=() if is_blind else found.store.decisions.of(job_id),
        review=review,
        queue=found.rules.queue(review.held_queue or "") if review and is_mine else None,
        first=first,
        rules=found.rules,
        undo=found.store.pending.of(found.actor.id),
        longest={"moderator": MAX_NAME, "rationale": MAX_RATIONALE},
        typed=typed,
        problem=problem,
    )
    page.status_code = status
    return page


@router.get("/static/style.css")
def style() -> Response:
    """The style sheet that the reports carry inside."""
    return Response(stylesheet(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def _script(name: str) -> Response:
    text = (_HERE / "scripts" / name).read_text(encoding="utf-8")
    return Response(text, media_type="text/javascript", headers={"Cache-Control": "max-age=3600"})


@router.get("/static/refresh.js")
def refresh_script() -> Response:
    """Looks again while something is unfinished."""
    return _script("refresh.js")


@router.get("/static/reading.js")
def reading_script() -> Response:
    """Times in the reader's zone; pictures shown while they are held."""
    return _script("reading.js")


@router.get("/static/upload.js")
def upload_script() -> Response:
    """Several files, dropped or picked, with their progress."""
    return _script("upload.js")


@router.get("/static/review.js")
def review_script() -> Response:
    """Keys, and holding what is being looked at."""
    return _script("review.js")


@router.get("/static/icon.svg")
def icon() -> Response:
    """Shown in the browser's tab."""
    return Response(
        (_HERE / "icon.svg").read_bytes(),
        media_type="image/svg+xml",
        headers={"Cache-Control": "max-age=86400"},
    )
