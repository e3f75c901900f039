"""A judged job as moderators meet it, and how it is laid into columns."""

import hashlib
import json
from pathlib import PurePosixPath
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from unmask.frozen import Frozen
from unmask.verdict import Kind, Verdict, VerdictLabel
from unmask.verdict.disputes import Lane, Why, after_verdict

_WHY = TypeAdapter(tuple[Why, ...])
#: Behind every video that has a p_fake.
_NO_RANK = 11


class Review(Frozen):
    """One judged job on its way past moderators."""

    job_id: str
    tenant: str
    generation: int
    lane: Lane
    why: tuple[Why, ...]
    label: VerdictLabel
    p_fake: float | None
    kind: Kind | None
    since: str
    """ISO 8601, UTC: when it was judged."""
    picture: str | None
    """File name of the first evidence picture, which may be deleted by now."""
    people: int
    snoozed_until: str
    """Empty: it is not."""
    held_by: str | None
    held_name: str | None
    held_queue: str | None
    held_until: str
    """Holding is over from then on; empty: nobody holds it."""

    def is_held(self, at: str) -> bool:
        """Whether somebody holds it at that moment."""
        return self.held_until > at


def slot(job_id: str) -> float:
    """Where a job lies in every sample: from 0 up to 1, the same for ever.

    >>> 0 <= slot("a") < 1, slot("a") == slot("a"), slot("a") == slot("b")
    (True, True, False)
    """
    return int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:4]) / 2**32


def rank(p_fake: float | None) -> int:
    """Tenths of p_fake, the likeliest forged first.

    >>> rank(1.0), rank(0.95), rank(0.0), rank(None)
    (0, 1, 10, 11)
    """
    return _NO_RANK if p_fake is None else 10 - int(p_fake * 10)


def review_columns(job: Row[Any, Any, Any, Any], verdict: Verdict, at: str) -> dict[str, Any]:
    """The columns of a job that was judged just now. `job`: with id, tenant, submitted_by, generation."""
    lane, why = after_verdict(verdict)
    kinds = [track.kind for track in verdict.tracks if track.kind is not None]
    kind = verdict.deciding.kind if verdict.deciding is not None else next(iter(kinds), None)
    picture = verdict.evidence[0].face_url if verdict.evidence else None
    return {
        "job_id": job.id,
        "tenant": job.tenant,
        "generation": job.generation,
        "lane": lane,
        "why": json.dumps(why),
        "label": verdict.verdict.value,
        "rank": rank(verdict.p_fake),
        "since": at,
        "p": -1.0 if verdict.p_fake is None else verdict.p_fake,
        "kind": kind,
        "slot": slot(job.id),
        "source": job.submitted_by or "",
        "picture": picture and PurePosixPath(picture).name,
        "people": verdict.people(),
    }


def review_of(row: Row[Any]) -> Review:
    """The review in a row of the table."""
    return Review(
        job_id=row.job_id,
        tenant=row.tenant,
        generation=row.generation,
        lane=row.lane,
        why=_WHY.validate_json(row.why),
        label=VerdictLabel(row.label),
        p_fake=None if row.p < 0 else row.p,
        kind=row.kind,
        since=row.since,
        picture=row.picture,
        people=row.people,
        snoozed_until=row.snoozed_until,
        held_by=row.held_by,
        held_name=row.held_name,
        held_queue=row.held_queue,
        held_until=row.held_until,
    )
