"""Runs migrations: on the connection that the caller hands over, else on one to the configured database."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from shop.models import Base
from shop.settings import get_settings


def run(connection: Connection) -> None:
    """All migrations that are asked for, in one transaction."""
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_run() -> None:
    """What `alembic upgrade head` does."""
    engine = create_async_engine(get_settings().database_url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


if handed_over := context.config.attributes.get("connection"):
    run(handed_over)
else:
    asyncio.run(connect_and_run())
