"""A moderator decides on a verdict: checked against it, then added to the log, at once or later."""

import structlog

from unmask.errors import InputError, ReasonCode
from unmask.verdict.decision import Decision, DecisionGiven, Stance, stance
from workers.store import Store
from workers.store.review.pending import PendingDecision
from workers.store.review.queue_sql import ago

log = structlog.get_logger(__name__)


def decide(
    store: Store,
    job_id: str,
    given: DecisionGiven,
    *,
    actor: str | None = None,
    opinion_of: str | None = None,
    settles: bool = False,
) -> Decision:
    """Record a decision on the verdict of `given.generation`, by default the newest.

    `actor`: the id of whoever is logged in. `opinion_of`: whose first opinion belongs to it.
    `settles`: they may settle disputes. Raises InputError: not_found where there is no such
    verdict (a failed or unfinished job has none), config_invalid where nobody is named, or where
    it overturns the verdict without saying why.
    """
    generation, stands = _check(store, job_id, given)
    return store.decisions.add(
        job_id, generation, given, stands, actor=actor, opinion_of=opinion_of, settles=settles
    )


def decide_later(
    store: Store,
    job_id: str,
    given: DecisionGiven,
    *,
    actor: str,
    is_known: bool,
    queue: str,
    settles: bool,
    undo_s: float,
) -> bool:
    """As `decide`, recorded when it can no longer be taken back; False where somebody else decided."""
    generation, _ = _check(store, job_id, given)
    return store.pending.add(
        PendingDecision(
            job_id=job_id,
            actor=actor,
            given=given.model_copy(update={"generation": generation}),
            queue=queue,
            is_known=is_known,
            settles=settles,
            due_at=ago(seconds=-undo_s),
        )
    )


def record_due(store: Store) -> int:
    """Record every decision whose time to take it back is over; how many."""
    recorded = 0
    for pending in store.pending.due():
        verdict = store.verdict(pending.job_id, pending.given.generation)
        if verdict is None:  # the job was erased meanwhile, and this with it
            continue
        made = store.decisions.add_pending(pending, stance(pending.given.finding, verdict.verdict))
        recorded += made is not None
    if recorded:
        log.info("decisions.recorded", count=recorded)
    return recorded


def _check(store: Store, job_id: str, given: DecisionGiven) -> tuple[int, Stance]:
    """The verdict's generation, and how the finding stands to it. Raises InputError."""
    if not given.moderator:
        raise InputError(
            "a decision names who decides.",
            code=ReasonCode.CONFIG_INVALID,
            fix="Send your name in the field moderator, or log in.",
        )
    job = store.job(job_id)
    asked = given.generation
    generation = asked if asked is not None else job.generation if job is not None else 0
    verdict = store.verdict(job_id, generation) if job is not None else None
    if verdict is None:
        raise InputError(
            f"job {job_id!r} has no verdict to decide on.",
            code=ReasonCode.NOT_FOUND,
            fix=f"Wait until GET /v1/jobs/{job_id} says succeeded; a failed job is handed in again.",
        )
    stands = stance(given.finding, verdict.verdict)
    if stands == "overturns" and not (given.rationale or given.reasons):
        raise InputError(
            f"the verdict is {verdict.verdict.value}, and this overturns it without saying why.",
            code=ReasonCode.CONFIG_INVALID,
            fix="Say why, in the field rationale or reasons: what did the detectors miss?",
        )
    return generation, stands
