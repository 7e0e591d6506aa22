"""Runs migrations on the connection that storage/migrate.py hands in, inside its transaction."""

from alembic import context

from lairchat.storage.schema import metadata

# transactional_ddl: Alembic believes that SQLite cannot; with our own BEGIN (sqlite.py) it can, and
# a step that is interrupted leaves nothing behind.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
