"""How a person likes the pages: pictures blurred, grey, small, without sound; keys on or off."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from console.web.intake.bodies import form_of
from console.web.page import html, preferences
from console.web.review.at_work import working
from console.web.services import WebServicesDep
from unmask.requests.review_rules import Care

router = APIRouter(include_in_schema=False)


@router.get("/preferences")
def show(found: WebServicesDep) -> HTMLResponse:
    """The form."""
    return html(
        found,
        "preferences.html",
        title="Preferences",
        chosen=preferences(found),
        least=found.rules.care_at_least,
        names=list(Care.model_fields),
        refresh=False,
    )


@router.post("/preferences")
async def choose(request: Request, found: WebServicesDep) -> Response:
    """Keep what was chosen, for this person on every machine; then the form again."""
    sent = await form_of(request)
    me = working(request, found)
    chosen = {name: name in sent for name in (*Care.model_fields, "keys")}
    await run_in_threadpool(me.store.reviews.prefer, me.actor.id, chosen)
    return RedirectResponse(f"{found.root}/preferences", status_code=303)
