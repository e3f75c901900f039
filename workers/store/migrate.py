"""Bring the schema up to date at start, one process at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from unmask.errors import StoreError
from unmask.system.private_files import made_private

#: The newest revision in migrations/versions; a test holds the two together.
HEAD = "0008"
_LOCK_ID = 0x756E6D61736B  # "unmask", for PostgreSQL's advisory lock


def upgrade(engine: Engine) -> None:
    """Run every migration that is due. Raises StoreError where the schema is newer than the code."""
    with engine.connect() as connection:
        if _revision(connection) == HEAD:
            return
    with _one_at_a_time(engine), engine.connect() as connection:
        if _revision(connection) != HEAD:
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


def _migrate(connection: Connection) -> None:
    # Alembic takes longer to import than the rest of the store; a current schema never needs it.
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
