"""Find jobs: filters, two orders, and cursors that hold while jobs are added and change."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Select, UnaryExpression, func, select
from sqlalchemy.sql.operators import custom_op

from unmask.frozen import Frozen
from unmask.messages import JobState
from unmask.requests.job_details import DEFAULT_TENANT
from unmask.verdict import VerdictLabel
from workers.store.clock import stamp
from workers.store.pages.cursor import beyond, cursor_of
from workers.store.rows import JobRow, job_of, mark
from workers.store.sql_tables import JOB_FACETS, JOBS

Sort = Literal["-created_at", "created_at", "-p_fake", "p_fake"]
#: A tag or plugin on fewer jobs is where the search begins; on more, each candidate's marks are read.
_RARE = 2000


class JobQuery(Frozen):
    """Which jobs, in which order. Every filter given must hold."""

    tenant: str = DEFAULT_TENANT
    state: JobState | None = None
    verdict: VerdictLabel | None = None
    p_min: float | None = None
    p_max: float | None = None
    """Both with their ends; jobs without a p_fake are outside every range."""
    created_after: datetime | None = None
    """With its end."""
    created_before: datetime | None = None
    """Without its end."""
    tag: str | None = None
    plugin: str | None = None
    """A key."""
    external_id: str | None = None
    sha256: str | None = None
    """Of the media."""
    decided: bool | None = None
    without: tuple[str, ...] = ()
    """Ids of jobs that are left out."""
    sort: Sort = "-created_at"
    """By p_fake, jobs without one count as lower than all."""
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = None
    """Where an earlier page of the same query ended."""


class JobPage(Frozen):
    """Some jobs, and where to go on."""

    jobs: tuple[JobRow, ...]
    next_cursor: str | None
    """None on the last page."""


class JobSearch:
    """Part of the store; `begin` opens one of its transactions."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin

    def page(self, query: JobQuery) -> JobPage:
        """One page. Raises InputError for a cursor that is none of this query's order."""
        if _never(query):
            return JobPage(jobs=(), next_cursor=None)
        column, _ = _order(query.sort)
        with self._begin() as connection:
            found = connection.execute(self.statement(connection, query)).all()
            ids = [row.id for row in found[: query.limit]]
            # In a statement of its own: no database is led to read jobs in the order of a join.
            rows = connection.execute(select(JOBS).where(JOBS.c.id.in_(ids))).all() if ids else []
        known = {row.id: job_of(row) for row in rows}
        last = found[query.limit - 1] if len(found) > query.limit else None
        return JobPage(
            jobs=tuple(known[job_id] for job_id in ids if job_id in known),
            next_cursor=None
            if last is None
            else cursor_of(query.sort, last._mapping[column], last.id),
        )

    def some(self, job_ids: Sequence[str]) -> dict[str, JobRow]:
        """Those of some hundred jobs that there are, by id."""
        with self._begin() as connection:
            rows = connection.execute(select(JOBS).where(JOBS.c.id.in_(job_ids))).all()
        return {row.id: job_of(row) for row in rows}

    def statement(self, connection: Connection, query: JobQuery) -> Select[Any]:
        """Which jobs stand on the page and whether there are more: id and what they are sorted by."""
        column, direction = _order(query.sort)
        facets = [
            _facet(connection, query.tenant, kind, value)
            for kind, value in (("tag", query.tag), ("plugin", query.plugin))
            if value is not None
        ]
        few = any(facet.is_rare for facet in facets)
        beside = _BESIDE.get(connection.dialect.name, _as_it_is)
        leading: ColumnElement[Any] = JOBS.c[column]
        if few or query.external_id is not None or query.sha256 is not None:
            leading = beside(leading)  # looked up by what few have, then sorted
        chosen = select(JOBS.c.id, JOBS.c[column]).where(
            beside(JOBS.c.tenant) == query.tenant if few else JOBS.c.tenant == query.tenant,
            *_conditions(query, {column: leading}, beside),
            *(facet.condition for facet in facets),
        )
        if query.cursor is not None:
            chosen = chosen.where(beyond(query.sort, query.cursor, leading, JOBS.c.id))
        return chosen.order_by(direction(leading), direction(JOBS.c.id)).limit(query.limit + 1)


def _never(query: JobQuery) -> bool:
    """Whether a filter holds what no database can hold; PostgreSQL refuses to compare with NUL."""
    texts = (query.tag, query.plugin, query.external_id, query.sha256)
    return any(text is not None and "\0" in text for text in texts)


def _as_it_is(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column


def _plus(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column, in a spelling that SQLite looks for in no index."""
    return UnaryExpression(column, operator=custom_op("+"))


#: What is asked of each candidate, read in the order of the list. SQLite would rather read all that
#: a range finds and sort it, which may be most of the jobs; PostgreSQL weighs that well.
_BESIDE: dict[str, Callable[[ColumnElement[Any]], ColumnElement[Any]]] = {"sqlite": _plus}


def _conditions(
    query: JobQuery,
    named: dict[str, ColumnElement[Any]],
    beside: Callable[[ColumnElement[Any]], ColumnElement[Any]],
) -> list[ColumnElement[bool]]:
    table = JOBS.c
    p_order = named.get("p_order", beside(table.p_order))
    created_at = named.get("created_at", beside(table.created_at))
    found = []
    if query.state is not None:
        found.append(beside(table.state) == query.state.value)
    if query.verdict is not None:
        found.append(table.label == query.verdict.value)
    if query.p_min is not None or query.p_max is not None:
        found.append(p_order >= max(0.0, query.p_min or 0.0))
    if query.p_max is not None:
        found.append(p_order <= query.p_max)
    if query.created_after is not None:
        found.append(created_at >= stamp(query.created_after))
    if query.created_before is not None:
        found.append(created_at < stamp(query.created_before))
    if query.external_id is not None:
        found.append(table.external_id == query.external_id)
    if query.sha256 is not None:
        found.append(table.media_sha256 == query.sha256)
    if query.decided is not None:
        found.append(table.decided.is_not(None) if query.decided else table.decided.is_(None))
    if query.without:
        found.append(table.id.not_in(query.without))
    return found


class _Facet(NamedTuple):
    condition: ColumnElement[bool]
    is_rare: bool


def _facet(connection: Connection, tenant: str, kind: str, value: str) -> _Facet:
    facet = JOB_FACETS.c
    holds = (facet.tenant == tenant, facet.kind == kind, facet.value == value)
    some = select(facet.job_id).where(*holds)
    counted = connection.execute(select(func.count()).select_from(some.limit(_RARE).subquery()))
    if counted.scalar_one() < _RARE:
        return _Facet(JOBS.c.id.in_(some), True)
    find = func.instr if connection.dialect.name == "sqlite" else func.strpos
    return _Facet(find(JOBS.c.marks, mark(kind, value)) > 0, False)


def _order(sort: Sort) -> tuple[str, Callable[[Any], Any]]:
    column = "p_order" if sort.endswith("p_fake") else "created_at"
    return column, (lambda c: c.desc()) if sort.startswith("-") else (lambda c: c.asc())
