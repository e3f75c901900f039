"""Bring the schema up to date at start, one process at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    insert,
    inspect,
    text,
)

from unmask.errors import StoreError
from unmask.system.private_files import made_private
from workers.store.sql_tables import METADATA

#: The newest revision in migrations/versions; a test holds the two together.
HEAD = "0008"
_LOCK_ID = 0x756E6D61736B  # "unmask", for PostgreSQL's advisory lock
_VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""As Alembic itself makes it."""


def upgrade(engine: Engine) -> None:
    """Run every migration that is due; an empty database gets the tables as they are by now.

    Raises StoreError where the schema is newer than the code.
    """
    with engine.connect() as connection:
        if _revision(connection) == HEAD:
            return
    with _one_at_a_time(engine), engine.connect() as connection:
        revision = _revision(connection)
        if revision is None and not inspect(connection).get_table_names():
            _create(connection)
        elif revision != HEAD:
            _migrate(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    connection.rollback()
    if found is not None and found > HEAD:
        raise StoreError(
            f"the database is at schema {found}, this code knows {HEAD}.",
            fix="Run the newer Unmask, or point UNMASK_DATABASE_URL at another database.",
        )
    return found


def _create(connection: Connection) -> None:
    """Every table at once, or none: whoever dies meanwhile leaves an empty database."""
    connection.rollback()
    if connection.dialect.name == "sqlite":  # its driver begins no transaction for a table
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    METADATA.create_all(connection)
    _VERSION.create(connection)
    connection.execute(insert(_VERSION).values(version_num=HEAD))
    connection.commit()


def _migrate(connection: Connection) -> None:
    # Alembic takes longer to import than the rest of the store; a new or current schema needs none.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _one_at_a_time(engine: Engine) -> Iterator[None]:
    """Several workers starting together migrate once."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:id)"), {"id": _LOCK_ID})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": _LOCK_ID})
        return
    database = engine.url.database
    if not database or database == ":memory:":
        yield
        return
    with made_private(Path(f"{database}.lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
