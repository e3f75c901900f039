"""Take a job out of the database, leaving a receipt; and whose rows retention takes."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Table, delete, func, insert, select

from unmask.frozen import Frozen
from workers.store.clock import now, stamp
from workers.store.outgoing.outbox import JOB_ERASED, STREAM, write_event
from workers.store.pages.cursor import newest_page
from workers.store.sql_tables import (
    ACTIONS,
    DECISIONS,
    EVENTS,
    FRAME_SCORES,
    JOBS,
    RECEIPTS,
    STREAM_WINDOWS,
    STREAMS,
    VERDICTS,
)


class Rows(NamedTuple):
    """What hangs on a thing that is erased, and the event that says so."""

    table: Table
    counted: Mapping[str, Column[Any]]
    event: str


_NOTED = {"events": EVENTS.c.job_id, "actions": ACTIONS.c.job_id}
JOB_ROWS = Rows(
    JOBS,
    {
        "verdicts": VERDICTS.c.job_id,
        "frame_scores": FRAME_SCORES.c.job_id,
        "decisions": DECISIONS.c.job_id,
        **_NOTED,
    },
    JOB_ERASED,
)
STREAM_ROWS = Rows(STREAMS, {"windows": STREAM_WINDOWS.c.stream_id, **_NOTED}, f"{STREAM}erased")


class Whose(Frozen):
    """By default everybody's."""

    only: str | None = None
    besides: tuple[str, ...] = ()
    """Where `only` names nobody: all tenants but these."""

    def jobs(self, table: Any = JOBS) -> ColumnElement[bool]:
        """The condition on a table of jobs."""
        tenant: ColumnElement[str] = table.c.tenant
        return tenant == self.only if self.only is not None else tenant.not_in(self.besides)


EVERYBODY = Whose()


class Receipt(Frozen):
    """That a job was erased."""

    job_id: str
    tenant: str
    signed: str
    """A compact JWS; its content says what was removed."""
    created_at: str


class Erasure:
    """Part of the store; `begin` opens one of its transactions."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin

    def erase(
        self,
        job_id: str,
        tenant: str,
        sign: Callable[[dict[str, int]], str],
        *,
        rows: Rows = JOB_ROWS,
    ) -> Receipt:
        """Delete every row of the job, or of what `rows` says, and keep the receipt that `sign` makes of their counts.

        In one transaction; done twice, the first receipt stands.
        """
        with self._begin() as connection:
            known = connection.execute(select(RECEIPTS).where(RECEIPTS.c.job_id == job_id)).first()
            if known is not None:
                return Receipt.model_validate(dict(known._mapping))
            counts = {
                what: connection.execute(select(func.count()).where(column == job_id)).scalar_one()
                for what, column in rows.counted.items()
            }
            for table in (EVENTS, ACTIONS):
                connection.execute(delete(table).where(table.c.job_id == job_id))
            # What hangs on it goes with it: verdicts, scores, decisions, tags; windows.
            connection.execute(delete(rows.table).where(rows.table.c.id == job_id))
            values = {
                "job_id": job_id,
                "tenant": tenant,
                "signed": sign(counts),
                "created_at": now(),
            }
            connection.execute(insert(RECEIPTS).values(**values))
            # The receipt is all that names the job; the event says where to find it.
            write_event(connection, tenant, rows.event, None, {"receipts": "/v1/receipts"})
        return Receipt.model_validate(values)

    def receipt(self, job_id: str) -> Receipt | None:
        """The receipt of an erased job."""
        if "\0" in job_id:
            return None
        with self._begin() as connection:
            row = connection.execute(select(RECEIPTS).where(RECEIPTS.c.job_id == job_id)).first()
        return None if row is None else Receipt.model_validate(dict(row._mapping))

    def page(
        self, tenant: str, limit: int = 100, cursor: str | None = None
    ) -> tuple[list[Receipt], str | None]:
        """A tenant's receipts, the newest first, and the page's `next_cursor`.

        Raises InputError for a cursor that is none of this list's.
        """
        query = select(RECEIPTS).where(RECEIPTS.c.tenant == tenant)
        with self._begin() as connection:
            rows, after = newest_page(
                connection, query, RECEIPTS, RECEIPTS.c.job_id, limit=limit, cursor=cursor
            )
        return [Receipt.model_validate(dict(row._mapping)) for row in rows], after

    def since(self, moment: datetime) -> list[str]:
        """The ids of jobs erased since then: a slow worker may still have written for them."""
        query = select(RECEIPTS.c.job_id).where(RECEIPTS.c.created_at >= stamp(moment))
        with self._begin() as connection:
            return list(connection.execute(query).scalars())
