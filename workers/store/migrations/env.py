"""Alembic's entry: runs the versions on the connection that workers/store/migrate.py hands over."""

from alembic import context

from workers.store.sql_tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
