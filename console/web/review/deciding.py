"""The decision form: in a queue decide and go on, with a way back; elsewhere record at once."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from console.web.decisions import named, record
from console.web.intake.bodies import form_of, form_values
from console.web.page import job_page
from console.web.problems import Refusal
from console.web.review.at_work import held_review, holder, next_in, remember_name
from console.web.services import WebServices, WebServicesDep
from unmask.errors import InputError, ReasonCode
from unmask.verdict.decision import DecisionGiven, Finding
from workers.jobs.orders.decide import decide_later, record_due

router = APIRouter(include_in_schema=False)
Sent = Mapping[str, Sequence[str]]
_FINDINGS: dict[str, Finding] = {"fake": "fake", "real": "real", "unsure": "unsure"}


@router.get("/jobs/{job_id}/decisions")
def form(job_id: str, found: WebServicesDep) -> Response:
    """A refused form was shown at this address: reloaded, it is the job's page."""
    found.job(job_id)
    return RedirectResponse(f"{found.root}/jobs/{job_id}#decisions", status_code=303)


@router.post("/jobs/{job_id}/decisions")
async def decided(job_id: str, request: Request, found: WebServicesDep) -> Response:
    """The decision form. With a queue in it: decide, and go on with the queue's next video."""
    sent = await form_values(request)
    return await run_in_threadpool(_decided, request, found, job_id, sent)


def _decided(request: Request, found: WebServices, job_id: str, sent: Sent) -> Response:
    queue = _one(sent, "queue")
    status = 422
    try:
        given = named(found, _given(sent))
        remember_name(request, found, given.moderator)
        if not queue:
            record(found, job_id, given)
            return RedirectResponse(f"{found.root}/jobs/{job_id}#decisions", status_code=303)
        _decide_in_queue(found, job_id, given, queue)
        return next_in(found, queue)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{first['loc'][0] if first['loc'] else 'The form'}: {first['msg']}."
    except InputError as error:
        if error.code is not ReasonCode.CONFIG_INVALID:
            raise
        problem = f"{error.message.capitalize()} {error.fix}"
    except Refusal as error:
        if error.code != "not_held":
            raise
        problem, status = f"{error.detail.capitalize()} {error.fix}", error.status
    return job_page(found, job_id, typed=sent, problem=problem, status=status)


def _given(sent: Sent) -> DecisionGiven:
    texts = {name: _one(sent, name) for name in ("finding", "moderator", "rationale", "generation")}
    filled = {name: text for name, text in texts.items() if text}
    reasons = sent.get("reasons", ())
    return DecisionGiven.model_validate(
        filled | {"consent": "consent" in sent, "reasons": tuple(reasons)}
    )


def _one(sent: Sent, name: str) -> str:
    return next(iter(sent.get(name, ())), "")


def _decide_in_queue(found: WebServices, job_id: str, given: DecisionGiven, queue: str) -> None:
    """Raises Refusal (409) where somebody else holds the video or has decided."""
    found.job(job_id)
    rule = found.rules.queue(queue)
    actor = found.actor
    # Held, or free to be taken: a page that lost its lease is as good while nobody took the video.
    is_ours = found.store.reviews.hold(job_id, rule.name, holder(found), found.rules, take=True)
    if not is_ours or not decide_later(
        found.store,
        job_id,
        given,
        actor=actor.id,
        is_known=actor.is_known,
        queue=rule.name,
        settles="decisions.settle" in actor.permissions,
        undo_s=found.rules.undo_seconds,
    ):
        raise Refusal(
            409,
            "not_held",
            "this is not recorded: somebody else holds the video, or has decided by now.",
            fix="Take the next one from the queue; to add to the record, decide on the job's page.",
        )


@router.post("/jobs/{job_id}/opinion")
async def opinion(job_id: str, request: Request, found: WebServicesDep) -> Response:
    """The first opinion, before the score is shown; then the same page, with the score."""
    sent = await form_of(request)

    def do() -> Response:
        review = held_review(found, job_id)
        finding = _FINDINGS.get(sent.get("finding", ""))
        if finding is None:
            raise InputError(
                "say what you think.",
                code=ReasonCode.CONFIG_INVALID,
                fix=f"Send finding, one of {', '.join(_FINDINGS)}.",
            )
        found.store.reviews.give_first_opinion(job_id, review.generation, found.actor.id, finding)
        return RedirectResponse(f"{found.root}/jobs/{job_id}", status_code=303)

    return await run_in_threadpool(do)


@router.post("/jobs/{job_id}/undo")
def undo(job_id: str, found: WebServicesDep) -> Response:
    """Take a decision back while there is time; then its video again, with what was picked."""
    found.job(job_id)
    pending = found.store.pending.take_back(job_id, found.actor.id)
    if pending is None:
        record_due(found.store)
        return RedirectResponse(f"{found.root}/jobs/{job_id}#decisions", status_code=303)
    found.store.reviews.hold(job_id, pending.queue, holder(found), found.rules, take=True)
    picked = [("finding", pending.given.finding), *(("reasons", r) for r in pending.given.reasons)]
    return RedirectResponse(
        f"{found.root}/jobs/{job_id}?{urlencode(picked)}#decisions", status_code=303
    )
