"""Cursors: where a page of a list ended, so that the next one begins there while rows come and go."""

import base64
import json
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Table, and_, or_

from unmask.errors import InputError, ReasonCode

_NEWEST = "-created_at"
_CURSOR = TypeAdapter(tuple[str, str | float, str])


def cursor_of(order: str, value: str | float, row_id: str) -> str:
    """The cursor of a page whose last row has this value of what it is sorted by, and this id."""
    text = json.dumps([order, value, row_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def beyond(
    order: str, cursor: str, column: ColumnElement[Any], ids: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Rows after the one that the cursor names, which may be gone by now.

    `order` is the name of the list's order, with "-" before it where the highest come first; rows of
    one value stand by id the same way round. Raises InputError for a cursor of another list or order.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True)
        made_for, value, row_id = _CURSOR.validate_json(text)
        fits = made_for == order and isinstance(value, float if "p_fake" in order else str)
        if not fits or "\0" in row_id or "\0" in str(value):
            raise ValueError("made for another order")
    except (ValueError, ValidationError) as error:
        raise InputError(
            "the cursor is none of this list's.",
            code=ReasonCode.CONFIG_INVALID,
            fix="Use next_cursor of the page before, with the same sort; or begin without one.",
        ) from error
    if order.startswith("-"):
        return or_(column < value, and_(column == value, ids < row_id))
    return or_(column > value, and_(column == value, ids > row_id))


def newest_page(
    connection: Connection,
    query: Select[Any],
    table: Table,
    ids: Column[Any],
    *,
    limit: int,
    cursor: str | None,
) -> tuple[list[Row[Any]], str | None]:
    """A page of `query`, the newest `created_at` first, and the cursor of what follows, or None."""
    made = table.c.created_at
    if cursor is not None:
        query = query.where(beyond(_NEWEST, cursor, made, ids))
    asked = query.order_by(made.desc(), ids.desc()).limit(limit + 1)
    rows = list(connection.execute(asked))
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]._mapping
    return rows[:limit], cursor_of(_NEWEST, last[made], last[ids])
