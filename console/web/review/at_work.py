"""What a moderator does with a video besides deciding: hold it, let go, skip, put off, pass on."""

import secrets
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from console.show.wording import SNOOZES
from console.web.identity.gate import VISITOR, VISITOR_NAME
from console.web.intake.bodies import form_of
from console.web.problems import Refusal
from console.web.services import WebServices, WebServicesDep
from unmask.errors import InputError, ReasonCode
from unmask.requests.review_rules import QueueRule
from workers.jobs.orders.decide import record_due
from workers.store.review.queue_sql import ago
from workers.store.review.review_rows import Review
from workers.store.review.review_table import Holder

router = APIRouter(include_in_schema=False)
_MAX_REASON = 300


def working(request: Request, found: WebServices) -> WebServices:
    """The services for somebody who works: where nobody logs in, their browser gets a name."""
    if found.actor.is_known or found.actor.id != "open":
        return found
    visitor = request.session.setdefault(VISITOR, secrets.token_hex(6))
    return replace(found, actor=found.actor.model_copy(update={"id": f"open:{visitor}"}))


def remember_name(request: Request, found: WebServices, name: str) -> None:
    """Where nobody logs in, a name is typed once."""
    if not found.actor.is_known and name:
        request.session[VISITOR_NAME] = name


def holder(found: WebServices) -> Holder:
    """The request's actor as others see who holds a video."""
    return Holder(found.actor.id, found.actor.name or "somebody")


def may_work(found: WebServices, rule: QueueRule) -> bool:
    """Whether the actor is given videos of this queue."""
    needed = "decisions.settle" if rule.senior else "decisions.make"
    return needed in found.actor.permissions


def queue_for(found: WebServices, name: str) -> QueueRule:
    """The queue. Raises InputError (not_found), Refusal (403) where it is a senior's."""
    rule = found.rules.queue(name)
    if not may_work(found, rule):
        raise Refusal(
            403,
            "forbidden",
            f"the queue {rule.title!r} is worked by those who may settle disputes.",
            fix="Work another queue, or ask for the role senior.",
        )
    return rule


def next_in(found: WebServices, name: str) -> Response:
    """Hold the queue's next video and go there; or to the queue, where nothing is left."""
    rule = queue_for(found, name)
    record_due(found.store)
    job_id = found.store.reviews.claim_next(found.actor.tenant, rule, holder(found), found.rules)
    where = f"/jobs/{job_id}" if job_id else f"/queues/{rule.name}"
    return RedirectResponse(found.root + where, status_code=303)


def held_review(found: WebServices, job_id: str) -> Review:
    """The review of a video that this actor holds. Raises InputError (not_found), Refusal (409).

    While nobody took it since, it is held on to: a reload's farewell may arrive after its greeting.
    """
    found.job(job_id)
    review = found.store.reviews.get(job_id)
    queue = review.held_queue if review is not None else None
    if review is None or not found.store.reviews.hold(
        job_id, queue or "", holder(found), found.rules
    ):
        raise Refusal(
            409,
            "not_held",
            "you do not hold this video: your time with it is over, or somebody else has it.",
            fix="Take the next one from a queue.",
        )
    return review


@router.post("/jobs/{job_id}/hold")
def hold(job_id: str, found: WebServicesDep, queue: str = "") -> Response:
    """The page is still open: 204, or 409 where somebody else holds the video by now."""
    found.job(job_id)
    if not queue:
        raise InputError(
            "say in which queue.", code=ReasonCode.CONFIG_INVALID, fix="Send its name as queue."
        )
    rule = queue_for(found, queue)
    if found.store.reviews.hold(job_id, rule.name, holder(found), found.rules):
        return Response(status_code=204)
    raise Refusal(
        409,
        "not_held",
        "somebody else holds this video, or it is decided.",
        fix="Take the next one from a queue.",
    )


@router.post("/jobs/{job_id}/leave")
async def leave(job_id: str, request: Request, found: WebServicesDep) -> Response:
    """With a queue: let go of the video, back to its queue. Without: the page was left, 204."""
    sent = await form_of(request)
    queue = _known(found, sent.get("queue", ""))

    def do() -> Response:
        found.job(job_id)
        if not queue:
            found.store.reviews.leave(job_id, found.actor.id)
            return Response(status_code=204)
        found.store.reviews.release(job_id, found.actor.id)
        return RedirectResponse(f"{found.root}/queues{queue}", status_code=303)

    return await run_in_threadpool(do)


@router.post("/jobs/{job_id}/skip")
async def skip(job_id: str, request: Request, found: WebServicesDep) -> Response:
    """Not for me: somebody else is given it. The reason is kept; then the queue's next video."""
    sent = await form_of(request)

    def do() -> Response:
        review = held_review(found, job_id)
        reason = _said(sent, "why", "why you skip it")
        found.store.reviews.skip(job_id, found.actor.id, reason)
        _audit(found, "review.skipped", job_id, reason=reason)
        return next_in(found, review.held_queue or "")

    return await run_in_threadpool(do)


@router.post("/jobs/{job_id}/snooze")
async def snooze(job_id: str, request: Request, found: WebServicesDep) -> Response:
    """Nobody is given it until later; then the queue's next video."""
    sent = await form_of(request)

    def do() -> Response:
        review = held_review(found, job_id)
        hours = sent.get("hours", "")
        if hours not in SNOOZES:
            raise InputError(
                "say until when.",
                code=ReasonCode.CONFIG_INVALID,
                fix=f"Send hours, one of {', '.join(SNOOZES)}.",
            )
        found.store.reviews.snooze(job_id, found.actor.id, ago(hours=-float(hours)))
        _audit(found, "review.snoozed", job_id, hours=hours)
        return next_in(found, review.held_queue or "")

    return await run_in_threadpool(do)


@router.post("/jobs/{job_id}/escalate")
async def escalate(job_id: str, request: Request, found: WebServicesDep) -> Response:
    """A senior is to decide, and reads why; then the queue's next video."""
    sent = await form_of(request)

    def do() -> Response:
        review = held_review(found, job_id)
        reason = _said(sent, "why", "what a senior should look at")
        found.store.reviews.escalate(job_id, found.actor.id)
        _audit(found, "review.escalated", job_id, reason=reason)
        return next_in(found, review.held_queue or "")

    return await run_in_threadpool(do)


@router.post("/queues/skipped")
def take_up_skipped(found: WebServicesDep) -> Response:
    """Be given again what was skipped."""
    found.store.reviews.take_up_skipped(found.actor.id)
    return RedirectResponse(f"{found.root}/queues", status_code=303)


def _said(sent: dict[str, str], name: str, what: str) -> str:
    text = sent.get(name, "").strip()
    if not 1 <= len(text) <= _MAX_REASON:
        raise InputError(
            f"say {what}, in at most {_MAX_REASON} characters.",
            code=ReasonCode.CONFIG_INVALID,
            fix=f"Send it in the field {name}.",
        )
    return text


def _audit(found: WebServices, action: str, job_id: str, **detail: str) -> None:
    found.store.actions.add(
        found.actor.tenant, found.actor.id, action, job_id=job_id, detail=detail
    )


def _known(found: WebServices, name: str) -> str:
    """The address of that queue behind /queues; empty for none."""
    return f"/{name}" if any(queue.name == name for queue in found.rules.queues) else ""
