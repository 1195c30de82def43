"""Runs migrations on the connection that it is given, as Alembic's cookbook has it for tests."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
