"""Decisions that can still be taken back: written down at once, recorded when their time is up.

Nothing of them leaves before: no event, no webhook, no line of the log (docs/adr/0015).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from unmask.frozen import Frozen
from unmask.verdict.decision import DecisionGiven
from workers.store.clock import now
from workers.store.sql_tables import PENDING_DECISIONS, REVIEWS

_TABLE = PENDING_DECISIONS.c
_WAITING = ("open", "senior")


class PendingDecision(Frozen):
    """Decided, and not yet recorded."""

    job_id: str
    actor: str
    given: DecisionGiven
    """With its generation."""
    queue: str
    is_known: bool
    """Whether the actor was logged in."""
    settles: bool
    """Whether they may settle disputes."""
    due_at: str
    """ISO 8601, UTC: until then it can be taken back."""


class PendingDecisions:
    """Part of the store; `begin` opens one of its transactions."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin

    def add(self, pending: PendingDecision) -> bool:
        """Decide, to be recorded at `due_at`; False where the video waits for no decision any more.

        Until then nobody is given it.
        """
        this = REVIEWS.c.job_id == pending.job_id
        with self._begin() as connection:
            # The change first: of two who decide at once, one finds the video where it waited.
            lane = connection.execute(select(REVIEWS.c.lane).where(this)).scalar()
            is_ours = (
                lane in _WAITING
                and connection.execute(
                    update(REVIEWS)
                    .where(this, REVIEWS.c.lane == lane)
                    .values(
                        lane="pending", held_by=None, held_name=None, held_queue=None, held_until=""
                    )
                ).rowcount
            )
            if not is_ours:
                return False
            values = pending.model_dump() | {"given": pending.given.model_dump_json()}
            connection.execute(insert(PENDING_DECISIONS).values(**values, lane=lane))
        return True

    def of(self, actor: str) -> list[PendingDecision]:
        """What this person can still take back, the newest first."""
        query = select(PENDING_DECISIONS).where(_TABLE.actor == actor, _TABLE.due_at > now())
        with self._begin() as connection:
            return [_of(row) for row in connection.execute(query.order_by(_TABLE.due_at.desc()))]

    def due(self, limit: int = 100) -> list[PendingDecision]:
        """What is to be recorded now, the oldest first."""
        query = select(PENDING_DECISIONS).where(_TABLE.due_at <= now()).order_by(_TABLE.due_at)
        with self._begin() as connection:
            return [_of(row) for row in connection.execute(query.limit(limit))]

    def take_back(self, job_id: str, actor: str) -> PendingDecision | None:
        """Undo this person's decision; None where it is recorded by now."""
        mine = (_TABLE.job_id == job_id, _TABLE.actor == actor, _TABLE.due_at > now())
        with self._begin() as connection:
            row = connection.execute(
                delete(PENDING_DECISIONS).where(*mine).returning(PENDING_DECISIONS)
            ).first()
            if row is None:
                return None
            _put_back(connection, row)
        return _of(row)


def take_due(connection: Connection, pending: PendingDecision) -> bool:
    """Whether it falls to this transaction to record it: to one alone of those who try."""
    this = (_TABLE.job_id == pending.job_id, _TABLE.due_at == pending.due_at)
    row = connection.execute(
        delete(PENDING_DECISIONS).where(*this).returning(PENDING_DECISIONS)
    ).first()
    if row is not None:
        _put_back(connection, row)
    return row is not None


def _put_back(connection: Connection, row: Row[Any]) -> None:
    """The review stands where it stood; a new run's review stays as it is."""
    this = (REVIEWS.c.job_id == row.job_id, REVIEWS.c.lane == "pending")
    connection.execute(update(REVIEWS).where(*this).values(lane=row.lane))


def _of(row: Row[Any]) -> PendingDecision:
    return PendingDecision.model_validate(
        {n: v for n, v in row._mapping.items() if n != "lane"}
        | {"given": DecisionGiven.model_validate_json(row.given)}
    )
