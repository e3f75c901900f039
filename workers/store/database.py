"""Open the database: SQLite so that readers and a writer get along, or any other by its driver."""

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from unmask.errors import StoreError
from unmask.system.private_files import made_private, private_folder
from unmask.system.requirements import install

_BUSY_S = 30.0
_RETRY_S = 0.02


def open_database(url: str) -> Engine:
    """The engine for a SQLAlchemy URL; nothing is connected yet. Raises StoreError."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise StoreError(
            f"the database URL is off: {error}.",
            fix=f"Use sqlite:///PATH, or postgresql+psycopg://... after {install('psycopg')}.",
        ) from error
    if parsed.database and parsed.database != ":memory:":
        private_folder(Path(parsed.database).parent)
        # SQLite would make it readable for all; what it puts beside it is as private as this.
        made_private(Path(parsed.database))
    engine = create_engine(parsed, connect_args={"timeout": _BUSY_S})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        # WAL lets the page read while a verdict is written; NORMAL survives a killed process.
        _use_wal(cursor)
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        # An erased job must not be legible in the file's free pages.
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.close()

    return engine


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """Turn a new database to WAL; waits for whoever writes to it, as SQLite itself does not.

    The change first reads the file, and from reading to writing SQLite never waits (two that both do
    would wait for each other): of two workers started together one would see "database is locked".
    """
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def unreachable(error: Exception, url: str) -> StoreError:
    """The error to raise in the place of the driver's; it names the address, without its password."""
    cause = str(getattr(error, "orig", None) or error)
    shown = make_url(url).render_as_string(hide_password=True)
    return StoreError(
        f"the database {shown} cannot be used: {cause}.",
        fix="Check UNMASK_DATABASE_URL, or that UNMASK_DATA_DIR can be written to.",
    )
