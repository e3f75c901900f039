"""Who did what, besides decisions: cancelled, re-run, erased, keys and webhooks made and ended."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, insert, select

from unmask.frozen import Frozen
from workers.store.clock import now
from workers.store.sql_tables import ACTIONS


class Action(Frozen):
    """One line of the audit."""

    id: int
    tenant: str
    actor: str
    action: str
    job_id: str | None
    detail: dict[str, Any]
    created_at: str


class ActionLog:
    """Part of the store; `begin` opens one of its transactions."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin

    def add(
        self,
        tenant: str,
        actor: str,
        action: str,
        *,
        job_id: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one. Raises StoreError."""
        values = {
            "tenant": tenant,
            "actor": actor,
            "action": action,
            "job_id": job_id,
            "detail": json.dumps(dict(detail or {})),
            "created_at": now(),
        }
        with self._begin() as connection:
            connection.execute(insert(ACTIONS).values(**values))

    def of(self, job_id: str) -> list[Action]:
        """Those on one job, the oldest first."""
        query = select(ACTIONS).where(ACTIONS.c.job_id == job_id).order_by(ACTIONS.c.id)
        with self._begin() as connection:
            rows = connection.execute(query).all()
        return [
            Action.model_validate(dict(row._mapping) | {"detail": json.loads(row.detail)})
            for row in rows
        ]
