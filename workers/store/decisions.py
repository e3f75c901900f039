"""The log of moderators' decisions: added to and read, never changed."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from unmask.verdict.decision import Decision, DecisionGiven, Stance
from unmask.verdict.disputes import after_decision
from workers.store.clock import now, stamp
from workers.store.erasure import EVERYBODY, Whose
from workers.store.outgoing.outbox import DECISION_MADE, write_event
from workers.store.review.pending import PendingDecision, take_due
from workers.store.sql_tables import DECISIONS, FIRST_OPINIONS, JOBS, REVIEWS

_CHUNK = 500


class DecisionLog:
    """Part of the store; `begin` opens one of its transactions."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin

    def add(
        self,
        job_id: str,
        generation: int,
        given: DecisionGiven,
        stance: Stance,
        *,
        actor: str | None = None,
        opinion_of: str | None = None,
        settles: bool = False,
    ) -> Decision:
        """Append one; `actor` is the id of whoever was logged in. Raises StoreError.

        `opinion_of`: whose first opinion belongs to it. `settles`: they may settle disputes.
        """
        with self._begin() as connection:
            return _add(
                connection,
                given,
                stance,
                job_id=job_id,
                generation=generation,
                actor=actor,
                opinion_of=opinion_of,
                settles=settles,
            )

    def add_pending(self, pending: PendingDecision, stance: Stance) -> Decision | None:
        """Append one whose time to take it back is over; None where that was done already."""
        given = pending.given
        assert given.generation is not None  # noqa: S101 - set when it was decided
        with self._begin() as connection:
            if not take_due(connection, pending):
                return None
            return _add(
                connection,
                given,
                stance,
                job_id=pending.job_id,
                generation=given.generation,
                actor=pending.actor if pending.is_known else None,
                opinion_of=pending.actor,
                settles=pending.settles,
            )

    def delete(self, made_before: datetime, *, whose: Whose = EVERYBODY) -> int:
        """Retention: delete what was decided before then; how many."""
        theirs = select(JOBS.c.id).where(whose.jobs())
        with self._begin() as connection:
            old = delete(DECISIONS).where(
                DECISIONS.c.created_at < stamp(made_before), DECISIONS.c.job_id.in_(theirs)
            )
            return connection.execute(old).rowcount

    def page(self, tenant: str, after: int = 0, limit: int = 100) -> list[Decision]:
        """A tenant's decisions after the one numbered `after`, the oldest first."""
        query = (
            select(DECISIONS)
            .join(JOBS, JOBS.c.id == DECISIONS.c.job_id)
            .where(JOBS.c.tenant == tenant, DECISIONS.c.id > after)
            .order_by(DECISIONS.c.id)
            .limit(limit)
        )
        with self._begin() as connection:
            rows = connection.execute(query).all()
        return [_of(row) for row in rows]

    def of(self, job_id: str) -> list[Decision]:
        """Those on one job, the oldest first."""
        return self._found(DECISIONS.c.job_id == job_id) if "\0" not in job_id else []

    def everything(self) -> list[Decision]:
        """The whole log, the oldest first."""
        return self._found()

    def newest(self, job_ids: Sequence[str]) -> dict[str, Decision]:
        """The newest decision on each of these jobs that has one."""
        found: dict[str, Decision] = {}
        for start in range(0, len(job_ids), _CHUNK):
            chosen = job_ids[start : start + _CHUNK]
            for decision in self._found(DECISIONS.c.job_id.in_(chosen)):
                found[decision.job_id] = decision
        return found

    def _found(self, *conditions: object) -> list[Decision]:
        query = select(DECISIONS).where(*conditions).order_by(DECISIONS.c.id)  # type: ignore[arg-type]
        with self._begin() as connection:
            rows = connection.execute(query).all()
        return [_of(row) for row in rows]


def _add(
    connection: Connection,
    given: DecisionGiven,
    stance: Stance,
    *,
    job_id: str,
    generation: int,
    actor: str | None,
    opinion_of: str | None,
    settles: bool,
) -> Decision:
    job = connection.execute(
        select(JOBS.c.tenant, JOBS.c.external_id).where(JOBS.c.id == job_id)
    ).one()
    opinion = FIRST_OPINIONS.c
    first = select(opinion.finding).where(
        opinion.job_id == job_id, opinion.generation == generation, opinion.actor == opinion_of
    )
    values = {
        "job_id": job_id,
        "generation": generation,
        "finding": given.finding,
        "stance": stance,
        "rationale": given.rationale,
        "moderator": given.moderator,
        "actor": actor,
        "consent": given.consent,
        "reasons": json.dumps(given.reasons),
        "settles": settles and connection.execute(_lane(job_id, generation)).scalar() == "senior",
        "first": None if opinion_of is None else connection.execute(first).scalar(),
        "created_at": now(),
    }
    made = _of(connection.execute(insert(DECISIONS).values(**values).returning(DECISIONS)).one())
    connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(decided=given.finding))
    _file(connection, made)
    data = {"external_id": job.external_id, **made.model_dump(mode="json")}
    write_event(connection, job.tenant, DECISION_MADE, job_id, data)
    return made


def _lane(job_id: str, generation: int) -> Select[Any]:
    """Where the video stands; nothing of another run's verdict."""
    this = (REVIEWS.c.job_id == job_id, REVIEWS.c.generation == generation)
    return select(REVIEWS.c.lane).where(*this)


def _file(connection: Connection, made: Decision) -> None:
    """Take the video out of its queue, or put it before a senior."""
    this = (REVIEWS.c.job_id == made.job_id, REVIEWS.c.generation == made.generation)
    lane = connection.execute(_lane(made.job_id, made.generation)).scalar()
    if lane is None:
        return
    same = (DECISIONS.c.job_id == made.job_id, DECISIONS.c.generation == made.generation)
    log = connection.execute(select(DECISIONS).where(*same).order_by(DECISIONS.c.id)).all()
    goes, why = after_decision(lane, [_of(row) for row in log])
    connection.execute(
        update(REVIEWS)
        .where(*this)
        .values(
            lane=goes,
            why=json.dumps(why),
            snoozed_until="",
            held_by=None,
            held_name=None,
            held_queue=None,
            held_until="",
        )
    )


def _of(row: Row[Any]) -> Decision:
    return Decision.model_validate(dict(row._mapping) | {"reasons": json.loads(row.reasons)})
