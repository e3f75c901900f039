"""The outbox: what happened, written in the transaction that made it true.

Events are numbered in the order in which they become visible: whoever has read up to `seq` misses
nothing that comes later. Of one job's events, `number` counts from 1 without a gap.
"""

import json
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, func, insert, literal, select, text

from unmask.frozen import Frozen
from workers.store.clock import now
from workers.store.sql_tables import DELIVERIES, EVENTS, WEBHOOKS

JOB_SUCCEEDED, JOB_FAILED, JOB_CANCELLED = "job.succeeded", "job.failed", "job.cancelled"
JOB_ERASED, DECISION_MADE = "job.erased", "decision.made"
#: Types of a live stream begin so.
STREAM = "stream."
TYPES = (JOB_SUCCEEDED, JOB_FAILED, JOB_CANCELLED, JOB_ERASED, DECISION_MADE)
_LOCK_ID = 0x6F7574626F78  # "outbox", for PostgreSQL's advisory lock


class Event(Frozen):
    """One thing that happened."""

    seq: int
    id: str
    tenant: str
    type: str
    job_id: str | None
    """Of a job or a stream."""
    number: int
    """Of this job's events, from 1."""
    data: dict[str, Any]
    created_at: str


def write_event(
    connection: Connection, tenant: str, kind: str, job_id: str | None, data: dict[str, Any]
) -> int:
    """Add an event to this transaction, with a delivery for each webhook that wants it; its seq."""
    if connection.dialect.name == "postgresql":
        # A sequence gives numbers before the commit: a reader would pass over the slower one.
        connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK_ID})
    at = now()
    number = (
        select(func.coalesce(func.max(EVENTS.c.number), 0) + 1)
        .where(EVENTS.c.job_id == job_id)
        .scalar_subquery()
    )
    seq: int = connection.execute(
        insert(EVENTS)
        .values(
            id=f"evt_{secrets.token_hex(12)}",
            tenant=tenant,
            type=kind,
            job_id=job_id,
            number=number,
            data=json.dumps(data),
            created_at=at,
        )
        .returning(EVENTS.c.seq)
    ).scalar_one()
    wanted = (WEBHOOKS.c.types == "[]") | WEBHOOKS.c.types.contains(f'"{kind}"', autoescape=True)
    if kind.startswith(STREAM):
        wanted |= WEBHOOKS.c.types.contains('"stream.*"', autoescape=True)
    due = select(
        literal(seq), WEBHOOKS.c.id, literal("due"), literal(0), literal(at), literal(at)
    ).where(WEBHOOKS.c.tenant == tenant, WEBHOOKS.c.enabled, wanted)
    columns = ["seq", "webhook_id", "state", "attempts", "due_at", "first_due_at"]
    connection.execute(insert(DELIVERIES).from_select(columns, due))
    return seq


class Outbox:
    """Part of the store; `begin` opens one of its transactions."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin

    def write(self, tenant: str, kind: str, job_id: str | None, data: dict[str, Any]) -> int:
        """Add an event by itself, such as a stream's; its seq."""
        with self._begin() as connection:
            return write_event(connection, tenant, kind, job_id, data)

    def after(
        self, seq: int, tenant: str, *, job_id: str | None = None, limit: int = 100
    ) -> list[Event]:
        """What happened after the event `seq`, in order: of one tenant, or of one of its jobs."""
        query = select(EVENTS).where(EVENTS.c.seq > seq, EVENTS.c.tenant == tenant)
        if job_id is not None:
            query = query.where(EVENTS.c.job_id == job_id)
        with self._begin() as connection:
            rows = connection.execute(query.order_by(EVENTS.c.seq).limit(limit)).all()
        return [event_of(row) for row in rows]

    def newest(self, tenant: str) -> int:
        """The seq of the tenant's newest event; 0 before the first."""
        query = select(func.max(EVENTS.c.seq)).where(EVENTS.c.tenant == tenant)
        with self._begin() as connection:
            return connection.execute(query).scalar() or 0


def event_of(row: Any) -> Event:
    """The event in a row that has its columns."""
    return Event(
        seq=row.seq,
        id=row.id,
        tenant=row.tenant,
        type=row.type,
        job_id=row.job_id,
        number=row.number,
        data=json.loads(row.data),
        created_at=row.created_at,
    )
