"""The log of moderators' decisions: added to and read, never changed."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from unmask.decision import Decision, DecisionGiven, Stance
from workers.store.sql_tables import DECISIONS

_CHUNK = 500


class DecisionLog:
    """Part of the store; `begin` opens one of its transactions."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin

    def add(self, job_id: str, generation: int, given: DecisionGiven, stance: Stance) -> Decision:
        """Append one. Raises StoreError."""
        values = {
            "job_id": job_id,
            "generation": generation,
            "finding": given.finding,
            "stance": stance,
            "rationale": given.rationale,
            "moderator": given.moderator,
            "consent": given.consent,
            "created_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        }
        with self._begin() as connection:
            number = connection.execute(
                insert(DECISIONS).values(**values).returning(DECISIONS.c.id)
            ).scalar_one()
        return Decision.model_validate({"id": number, **values})

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
