"""Whose rows: one tenant's, or everybody's but some."""

from typing import Any

from sqlalchemy import ColumnElement

from unmask.frozen import Frozen
from workers.store.sql_tables import JOBS


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
