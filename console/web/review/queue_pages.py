"""The queues, and what waits in one of them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from console.web.page import html
from console.web.review.at_work import may_work, next_in, queue_for, working
from console.web.review.find_page import FoundRow, rows_of
from console.web.services import WebServicesDep
from workers.jobs.orders.decide import record_due

router = APIRouter(include_in_schema=False)
_SHOWN = 50
_DEEPEST = 100_000


@router.get("/undecided")
def undecided(found: WebServicesDep) -> Response:
    """Where the one queue was."""
    return RedirectResponse(f"{found.root}/queues", status_code=308)


@router.get("/queues")
def queues(found: WebServicesDep) -> HTMLResponse:
    """Every queue with how many wait in it and since when, and what the actor holds."""
    record_due(found.store)
    rules = found.rules.queues
    held = found.store.reviews.held(found.actor.id)
    return html(
        found,
        "queues.html",
        title="Queues",
        queues=[(rule, may_work(found, rule)) for rule in rules],
        counts=found.store.reviews.counts(found.actor.tenant, rules),
        held=[(review, found.store.job(review.job_id)) for review in held],
        skipped=found.store.reviews.skipped(found.actor.id, found.rules),
        undo=found.store.pending.of(found.actor.id),
        refresh=False,
    )


@router.get("/queues/{queue}")
def queue(
    queue: str, found: WebServicesDep, start: Annotated[int, Query(ge=0, le=_DEEPEST)] = 0
) -> HTMLResponse:
    """What waits in one queue, in the order in which it is handed out."""
    record_due(found.store)
    rule = queue_for(found, queue)
    reviews = found.store.reviews.page(found.actor.tenant, rule, offset=start, limit=_SHOWN + 1)
    shown = [r for r in reviews[:_SHOWN] if r.job_id not in found.hidden]
    rows: list[FoundRow] = rows_of(found, shown)
    return html(
        found,
        "queue.html",
        title=rule.title,
        rule=rule,
        rows=rows,
        waiting=found.store.reviews.counts(found.actor.tenant, [rule])[rule.name],
        start=start,
        before=max(0, start - _SHOWN) if start else None,
        after=start + _SHOWN if len(reviews) > _SHOWN else None,
        undo=found.store.pending.of(found.actor.id),
        refresh=False,
    )


@router.post("/queues/{queue}/next")
def take_next(queue: str, request: Request, found: WebServicesDep) -> Response:
    """Hold the next video of the queue, and show it."""
    return next_in(working(request, found), queue)
