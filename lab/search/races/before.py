"""The rows and tables with which a recording begins, where no fixture makes them: in a database that others copy."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from sqlalchemy import MetaData, NullPool, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from lab.errors import ScenarioError, ServerError, UsageError, first_line
from lab.postgres.server.monitor import LOST, connect
from lab.postgres.server.server import Server, external_server
from lab.search.races.states import State, read_over

__all__ = ["BEGINNING", "copied_from", "with_rows", "with_tables"]

BEGINNING = "lab_beginning"
"""The name of the database."""
MOST_BYTES = 16 << 20
"""Of rows that are taken from elsewhere: they are restored before every execution."""
_SIZE = """
SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


async def with_tables(server: Server, metadata: Sequence[MetaData]) -> str:
    """Make the database with empty tables; returns its name. Raises `UsageError` for tables that cannot be made."""
    await _make(server)

    async def creator() -> asyncpg.Connection:
        return await connect(server, database=BEGINNING)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=creator, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            quote = connection.dialect.identifier_preparer.quote
            for each in metadata:
                for schema in sorted({table.schema for table in each.tables.values() if table.schema}):
                    await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}"))
                await connection.run_sync(each.create_all)
    except SQLAlchemyError as error:
        raise UsageError(
            f"the tables of the application's metadata cannot be made: {first_line(error)}; name a function that makes "
            "them with --before"
        ) from error
    return BEGINNING


async def copied_from(url: str) -> State:
    """Definition and rows of a database elsewhere, read in one transaction that may only read.

    Raises `UsageError` for what cannot be copied, `ServerError` if there is no such server.
    """
    source = external_server(url)
    connection = await connect(source)
    database = str(source.connect.get("database") or "")
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            size = await connection.fetchval(_SIZE)
            if size > MOST_BYTES:
                raise UsageError(
                    f"{source.description} has {size >> 20} MB of rows, and the lab takes {MOST_BYTES >> 20} MB at "
                    "most, since it restores them before every execution; fill tables with --before"
                )
            return await read_over(connection, database)
    except ScenarioError as error:
        raise UsageError(f"{source.description}: {error}; make the tables with --before") from None
    except LOST as error:
        raise UsageError(f"{source.description} cannot be read: {source.cleaned(first_line(error))}") from None
    finally:
        connection.terminate()


async def with_rows(server: Server, state: State) -> str:
    """Make the database as another one was; returns its name. Raises `UsageError` for what this server cannot hold."""
    await _make(server)
    connection = await connect(server, database=BEGINNING)
    try:
        await connection.execute(state.definition)
        await connection.execute("RESET check_function_bodies")
        await connection.execute(state.script)
    except asyncpg.PostgresError as error:
        raise UsageError(f"the lab's server cannot hold that database: {first_line(error)}") from None
    finally:
        await connection.close()
    return BEGINNING


async def _make(server: Server) -> None:
    admin = await connect(server, database="postgres")
    try:
        await admin.execute(f"CREATE DATABASE {BEGINNING} TEMPLATE template0 ENCODING 'UTF8'")
    except LOST as error:
        raise ServerError(f"the lab's server makes no database: {first_line(error)}") from error
    finally:
        await admin.close()
