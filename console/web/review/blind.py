"""Decide before the map: what must not be told to whoever holds a video of a blind queue.

The door asks here before every request, so that an address added later tells nothing by mistake.
"""

from pathlib import PurePosixPath
from typing import Final

from console.web.identity.actor import Actor
from console.web.problems import Refusal
from unmask.requests.review_rules import ReviewRules
from unmask.verdict import Verdict
from workers.store import Store

#: What these permissions are for says more than a first opinion may know.
_TELLING: Final = frozenset({"verdicts.read", "decisions.read", "decisions.make", "events.read"})
#: Addresses that look at `hidden` themselves, or say nothing of a score.
_FINE: Final = frozenset(
    {
        "/jobs/{job_id}",
        "/v1/jobs/{job_id}/evidence/{name}",
        "/jobs/{job_id}/opinion",
        "/jobs/{job_id}/hold",
        "/jobs/{job_id}/leave",
        "/jobs/{job_id}/skip",
        "/jobs/{job_id}/snooze",
        "/jobs/{job_id}/escalate",
    }
)


def hidden_jobs(store: Store, rules: ReviewRules, actor: Actor) -> frozenset[str]:
    """Jobs that this actor holds in a blind queue without having said what they think."""
    blind = {queue.name for queue in rules.queues if queue.blind}
    if not blind or "decisions.make" not in actor.permissions:
        return frozenset()
    return frozenset(
        review.job_id
        for review in store.reviews.held(actor.id)
        if review.held_queue in blind
        and store.reviews.first_opinion(review.job_id, review.generation, actor.id) is None
    )


def tells_of(job_id: str, needed: str, path: str, hidden: frozenset[str]) -> bool:
    """Whether this address would tell the score of a hidden job.

    >>> tells_of("a", "verdicts.read", "/v1/jobs/{job_id}/verdict", frozenset({"a"}))
    True
    >>> tells_of("a", "jobs.read", "/v1/jobs/{job_id}", frozenset({"a"}))
    False
    """
    return job_id in hidden and needed in _TELLING and path not in _FINE


def first_opinion_wanted() -> Refusal:
    """The answer to whoever asks too early."""
    return Refusal(
        403,
        "first_opinion_wanted",
        "score and maps are shown after your own first opinion.",
        fix="Give it on the job's page, or let go of the video.",
    )


def neutral_pictures(verdict: Verdict | None) -> frozenset[str]:
    """Whole frames that show who is there, and nothing of what any detector thinks."""
    if verdict is None:
        return frozenset()
    urls = (track.picture.url for track in verdict.tracks if track.picture is not None)
    return frozenset(PurePosixPath(url).name for url in urls)
