"""The log of moderators' decisions: added to and read, never changed."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from unmask.verdict.decision import Decision, DecisionGiven, Stance
from workers.store.clock import now, stamp
from workers.store.erasure import EVERYBODY, Whose
from workers.store.outgoing.outbox import DECISION_MADE, write_event
from workers.store.sql_tables import DECISIONS, JOBS

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
    ) -> Decision:
        """Append one; `actor` is the id of whoever was logged in. Raises StoreError."""
        values = {
            "job_id": job_id,
            "generation": generation,
            "finding": given.finding,
            "stance": stance,
            "rationale": given.rationale,
            "moderator": given.moderator,
            "actor": actor,
            "consent": given.consent,
            "created_at": now(),
        }
        with self._begin() as connection:
            job = connection.execute(
                select(JOBS.c.tenant, JOBS.c.external_id).where(JOBS.c.id == job_id)
            ).one()
            number = connection.execute(
                insert(DECISIONS).values(**values).returning(DECISIONS.c.id)
            ).scalar_one()
            connection.execute(
                update(JOBS).where(JOBS.c.id == job_id).values(decided=given.finding)
            )
            made = Decision.model_validate({"id": number, **values})
            data = {"external_id": job.external_id, **made.model_dump(mode="json")}
            write_event(connection, job.tenant, DECISION_MADE, job_id, data)
        return made

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
        return [Decision.model_validate(dict(row._mapping)) for row in rows]

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
        return [Decision.model_validate(dict(row._mapping)) for row in rows]
