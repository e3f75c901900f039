"""Where detectors, moderators, or the two differ: such videos want a senior's word. Pure."""

from collections.abc import Sequence
from typing import Literal

from unmask.verdict.decision import Decision
from unmask.verdict.whole import Verdict

Lane = Literal["open", "senior", "pending", "done"]
"""Where a judged video stands: nobody has decided; a senior is to decide; decided, and it can still be
taken back; decided."""
Why = Literal["plugins_differ", "moderators_differ", "overturned", "escalated"]


def plugins_differ(verdict: Verdict) -> bool:
    """Whether, of the stretch that decides, one plugin says fake and another not even suspicious.

    Only those that look for the kind of forgery in question: a specialist who sees nothing of the
    other kind contradicts nobody.
    """
    if verdict.deciding is None:
        return False
    kinds = {"any", verdict.deciding.kind}
    said = [vote.p for vote in verdict.deciding.votes if vote.finds in kinds]
    low, high = verdict.policy.suspicious_at, verdict.policy.fake_at
    return bool(said) and max(said) >= high and min(said) < low


def after_verdict(verdict: Verdict) -> tuple[Lane, tuple[Why, ...]]:
    """Where a new verdict goes."""
    return ("senior", ("plugins_differ",)) if plugins_differ(verdict) else ("open", ())


def after_decision(lane: Lane, made: Sequence[Decision]) -> tuple[Lane, tuple[Why, ...]]:
    """Where a video goes once the last of `made` (all of one verdict, the oldest first) is made.

    `lane`: where it stood. Of each moderator the last word counts, of those since a dispute was
    settled; "cannot tell" is none.
    """
    if made and made[-1].settles:
        return "done", ()
    last: dict[str, Decision] = {}
    for decision in made:
        if decision.settles:
            last.clear()
        last[decision.actor or decision.moderator] = decision
    sure = {decision.finding for decision in last.values() if decision.finding != "unsure"}
    why: list[Why] = []
    if len(sure) > 1:
        why.append("moderators_differ")
    if made and made[-1].stance == "overturns":
        why.append("overturned")
    if why or lane == "senior":
        return "senior", tuple(why)
    return "done", ()
