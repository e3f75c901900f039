"""A moderator decides on a verdict: checked against it, then added to the log."""

from unmask.errors import InputError, ReasonCode
from unmask.verdict.decision import Decision, DecisionGiven, stance
from workers.store import Store


def decide(
    store: Store, job_id: str, given: DecisionGiven, *, actor: str | None = None
) -> Decision:
    """Record a decision on the verdict of `given.generation`, by default the newest.

    `actor`: the id of whoever is logged in. Raises InputError: not_found where there is no such
    verdict (a failed or unfinished job has none), config_invalid where nobody is named, or where
    it overturns the verdict without saying why.
    """
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
    if stands == "overturns" and not given.rationale:
        raise InputError(
            f"the verdict is {verdict.verdict.value}, and this overturns it without saying why.",
            code=ReasonCode.CONFIG_INVALID,
            fix="Say why, in the field rationale: what did the detectors miss?",
        )
    return store.decisions.add(job_id, generation, given, stands, actor=actor)
