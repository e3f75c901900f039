"""Live streams in the database: what is to be watched, how it stands, what its windows said."""

import json
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from unmask.frozen import Frozen
from unmask.requests.stream import Rolling, StreamStateName, StreamWanted, WindowReport
from unmask.verdict import Verdict, read_verdict
from workers.store.clock import now
from workers.store.outgoing.outbox import STREAM, write_event
from workers.store.pages.cursor import newest_page
from workers.store.sql_tables import STREAM_WINDOWS, STREAMS

OPEN_STATES = ("connecting", "live", "stalled", "reconnecting")
#: So many windows are kept of each stream, the newest: at five seconds each, two weeks.
_KEPT_WINDOWS = 250_000


class StreamRow(Frozen):
    """One stream."""

    id: str
    tenant: str
    shown: str
    """Its address without user, password and query."""
    wanted: StreamWanted
    state: StreamStateName
    reason: str
    stop_requested: bool
    runs: int
    """Times that a worker took it up."""
    began_at: str | None
    """When the first one did; its windows count from here."""
    next_window: int
    ended_ms: int
    """End of its last window."""
    rolling: Rolling | None
    verdict: Verdict | None
    submitted_by: str | None
    created_at: str
    updated_at: str

    @property
    def is_open(self) -> bool:
        """Whether it is to be watched."""
        return self.state in OPEN_STATES


class StreamTable:
    """Part of the store; `begin` opens one of its transactions."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin

    def create(self, tenant: str, shown: str, wanted: StreamWanted, by: str | None) -> StreamRow:
        """A new stream, to be taken up by a worker."""
        stream_id, at = secrets.token_hex(12), now()
        with self._begin() as connection:
            connection.execute(
                insert(STREAMS).values(
                    id=stream_id, tenant=tenant, shown=shown, wanted=wanted.model_dump_json(),
                    state="connecting", reason="", stop_requested=False, runs=0, next_window=0,
                    ended_ms=0, submitted_by=by, created_at=at, updated_at=at,
                )
            )  # fmt: skip
            write_event(connection, tenant, f"{STREAM}created", stream_id, {"stream": shown})
        found = self.get(stream_id)
        assert found is not None  # noqa: S101 - just written
        return found

    def get(self, stream_id: str) -> StreamRow | None:
        """The stream, or None."""
        with self._begin() as connection:
            row = connection.execute(select(STREAMS).where(STREAMS.c.id == stream_id)).first()
        return None if row is None else _stream_of(row)

    def newest(
        self, tenant: str, limit: int, state: str | None = None, cursor: str | None = None
    ) -> tuple[list[StreamRow], str | None]:
        """A page of a tenant's streams, the newest first, and its `next_cursor`.

        Raises InputError for a cursor that is none of this list's.
        """
        query = select(STREAMS).where(STREAMS.c.tenant == tenant)
        if state is not None:
            query = query.where(STREAMS.c.state == state)
        with self._begin() as connection:
            rows, after = newest_page(
                connection, query, STREAMS, STREAMS.c.id, limit=limit, cursor=cursor
            )
        return [_stream_of(row) for row in rows], after

    def to_watch(self) -> list[StreamRow]:
        """Every stream that has not ended, over all tenants, the oldest first."""
        query = select(STREAMS).where(STREAMS.c.state.in_(OPEN_STATES))
        with self._begin() as connection:
            rows = connection.execute(query.order_by(STREAMS.c.created_at, STREAMS.c.id))
            return [_stream_of(row) for row in rows]

    def taken_up(self, stream_id: str) -> None:
        """One more worker watches it."""
        with self._begin() as connection:
            at = now()
            connection.execute(
                update(STREAMS)
                .where(STREAMS.c.id == stream_id)
                .values(runs=STREAMS.c.runs + 1, updated_at=at)
            )
            connection.execute(
                update(STREAMS)
                .where(STREAMS.c.id == stream_id, STREAMS.c.began_at.is_(None))
                .values(began_at=at)
            )

    def stop(self, stream_id: str) -> None:
        """Ask whoever watches it to end; one that nobody has taken up yet ends here."""
        with self._begin() as connection:
            connection.execute(
                update(STREAMS)
                .where(STREAMS.c.id == stream_id, STREAMS.c.state.in_(OPEN_STATES))
                .values(stop_requested=True, updated_at=now())
            )

    def set_state(self, stream_id: str, state: StreamStateName, reason: str) -> None:
        """It stands otherwise; an event says so."""
        with self._begin() as connection:
            self._change(connection, stream_id, state, reason)

    def finish(
        self, stream_id: str, state: StreamStateName, reason: str, verdict: Verdict | None
    ) -> None:
        """Its last word."""
        with self._begin() as connection:
            self._change(connection, stream_id, state, reason)
            if verdict is not None:
                connection.execute(
                    update(STREAMS)
                    .where(STREAMS.c.id == stream_id)
                    .values(verdict=verdict.model_dump_json())
                )

    def add_window(self, stream_id: str, report: WindowReport) -> None:
        """One more window; written twice, it is there once."""
        with self._begin() as connection:
            there = select(STREAMS.c.id).where(STREAMS.c.id == stream_id)
            if connection.execute(there).first() is None:
                return  # erased meanwhile
            at = (STREAM_WINDOWS.c.stream_id == stream_id) & (STREAM_WINDOWS.c.idx == report.index)
            connection.execute(delete(STREAM_WINDOWS).where(at))
            connection.execute(
                insert(STREAM_WINDOWS).values(
                    stream_id=stream_id, idx=report.index, report=report.model_dump_json()
                )
            )
            old = STREAM_WINDOWS.c.idx < report.index - _KEPT_WINDOWS
            connection.execute(
                delete(STREAM_WINDOWS).where(STREAM_WINDOWS.c.stream_id == stream_id, old)
            )
            before = self._rolling(connection, stream_id)
            connection.execute(
                update(STREAMS)
                .where(STREAMS.c.id == stream_id)
                .values(
                    next_window=report.index + 1,
                    ended_ms=report.end_ms,
                    rolling=report.rolling.model_dump_json(),
                    updated_at=now(),
                )
            )
            if before is None or before.label is not report.rolling.label:
                said = {"label": report.rolling.label.value, "p_fake": report.rolling.p_fake}
                self._tell(connection, stream_id, "verdict", said | {"window": report.index})

    def windows(self, stream_id: str, after: int, limit: int) -> list[WindowReport]:
        """Windows whose index is greater than `after`, in order."""
        query = (
            select(STREAM_WINDOWS.c.report)
            .where(STREAM_WINDOWS.c.stream_id == stream_id, STREAM_WINDOWS.c.idx > after)
            .order_by(STREAM_WINDOWS.c.idx)
            .limit(limit)
        )
        with self._begin() as connection:
            found = connection.execute(query).scalars()
            return [WindowReport.model_validate_json(text) for text in found]

    def _rolling(self, connection: Connection, stream_id: str) -> Rolling | None:
        query = select(STREAMS.c.rolling).where(STREAMS.c.id == stream_id)
        text = connection.execute(query).scalar()
        return None if text is None else Rolling.model_validate_json(text)

    def _change(
        self, connection: Connection, stream_id: str, state: StreamStateName, reason: str
    ) -> None:
        changed = connection.execute(
            update(STREAMS)
            .where(STREAMS.c.id == stream_id, STREAMS.c.state.in_(OPEN_STATES))
            .values(state=state, reason=reason, updated_at=now())
        ).rowcount
        if changed:
            self._tell(connection, stream_id, state, {"reason": reason})

    def _tell(
        self, connection: Connection, stream_id: str, kind: str, data: dict[str, Any]
    ) -> None:
        tenant, shown = connection.execute(
            select(STREAMS.c.tenant, STREAMS.c.shown).where(STREAMS.c.id == stream_id)
        ).one()
        write_event(connection, tenant, f"{STREAM}{kind}", stream_id, {"stream": shown} | data)


def _stream_of(row: Any) -> StreamRow:
    return StreamRow(
        id=row.id,
        tenant=row.tenant,
        shown=row.shown,
        wanted=StreamWanted.model_validate_json(row.wanted),
        state=row.state,
        reason=row.reason,
        stop_requested=row.stop_requested,
        runs=row.runs,
        began_at=row.began_at,
        next_window=row.next_window,
        ended_ms=row.ended_ms,
        rolling=None if row.rolling is None else Rolling.model_validate(json.loads(row.rolling)),
        verdict=None if row.verdict is None else read_verdict(row.verdict),
        submitted_by=row.submitted_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
