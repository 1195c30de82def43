"""Whatever setup made, whatever kind of table, is restored: rows, sequences, materialized views, layout, histories."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from helpers.kit import Order
from sqlalchemy import text

from lab import Scenario, actor
from lab.explore import Explorer
from lab.postgres.server.server import external_server

ODD = 'elsewhere."Odd ""name"""'
TABLES = (
    "CREATE SCHEMA elsewhere",
    f'CREATE TABLE {ODD} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "the n" int)',
    "CREATE TABLE parts (id int, n int, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
    "CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10)",
    "CREATE TABLE parts_rest PARTITION OF parts DEFAULT",
    "CREATE TABLE child (id serial PRIMARY KEY, part int REFERENCES parts)",
    "CREATE TABLE base (id int, n int)",
    "CREATE TABLE heir (extra text) INHERITS (base)",
    "CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY, n int)",
    "CREATE SEQUENCE tickets START 50",
    "CREATE MATERIALIZED VIEW sums AS SELECT sum(n) AS n FROM base",
    "CREATE MATERIALIZED VIEW twice AS SELECT n * 2 AS n FROM sums",
    "CREATE MATERIALIZED VIEW later AS SELECT n FROM sums WITH NO DATA",
    f'INSERT INTO {ODD} ("the n") VALUES (1)',
    "INSERT INTO parts VALUES (1, 1), (20, 2)",
    "INSERT INTO child (part) VALUES (1)",
    "INSERT INTO base VALUES (1, 1)",
    "INSERT INTO heir VALUES (2, 2, 'x')",
    "INSERT INTO fleeting VALUES (1, 1)",
    "SELECT nextval('tickets')",
    "REFRESH MATERIALIZED VIEW sums",
    "REFRESH MATERIALIZED VIEW twice",
)
CHANGES = (
    f'INSERT INTO {ODD} ("the n") VALUES (2)',
    "UPDATE parts SET n = n + 1",
    "INSERT INTO child (part) VALUES (20)",
    "UPDATE base SET n = 10",
    "DELETE FROM fleeting",
    "SELECT nextval('tickets')",
    "REFRESH MATERIALIZED VIEW sums",
    "REFRESH MATERIALIZED VIEW twice",
    "REFRESH MATERIALIZED VIEW later",
)
LOOKED_AT = (
    f'SELECT "the n" FROM {ODD} ORDER BY id',
    "SELECT id, n FROM parts ORDER BY id",
    "SELECT id FROM child",
    "SELECT n FROM base ORDER BY id",
    "SELECT n FROM fleeting",
    "SELECT last_value FROM tickets",
    "SELECT n FROM sums",
    "SELECT n FROM twice",
    "SELECT relispopulated FROM pg_class WHERE relname = 'later'",
)


class EveryKind(Scenario):
    async def setup(self, session) -> None:
        for statement in TABLES:
            await session.execute(text(statement))

    @actor
    async def changes(self, session) -> list[object]:
        seen = [(await session.execute(text(query))).all() for query in LOOKED_AT]
        for statement in CHANGES:
            await session.execute(text(statement))
        await session.commit()
        return seen

    @actor
    async def rests(self, session) -> None:
        await session.execute(text("SELECT 1"))


@pytest.fixture
async def unprivileged(server) -> AsyncIterator[Explorer]:
    """An explorer for a role that may make databases and no event triggers."""
    admin = await asyncpg.connect(**server.connect)
    await admin.execute("CREATE ROLE builder LOGIN CREATEDB")
    explorer = Explorer(external_server(f"postgresql://builder@/postgres?host={server.folder / 's'}"))
    yield explorer
    await explorer.aclose()
    await admin.execute("DROP ROLE builder")
    await admin.close()


async def everything_is_restored(explorer) -> None:
    records = [await explorer.run(EveryKind(), Order()) for _ in range(3)]
    seen = [record.outcome.results["changes"].text for record in records]
    assert seen[0] == seen[1] == seen[2]
    assert "(3,)" in seen[0]
    assert "(6,)" in seen[0], "one materialized view is made of another"
    assert records[0].outcome.rows == records[2].outcome.rows
    assert records[0].outcome.rows["parts_low"] == ("(1,2)",)


async def test_every_kind_of_table_that_setup_made_is_restored(explorer):
    await everything_is_restored(explorer)


async def test_so_it_is_for_a_role_without_privileges(unprivileged):
    await everything_is_restored(unprivileged)


class Makes(Scenario):
    @actor(names=("a", "b"))
    async def work(self, connection, name) -> None:
        await connection.execute(text(f"CREATE TABLE by_{name} (id int)"))
        await connection.execute(text(f"DO $$ BEGIN EXECUTE 'CREATE FUNCTION f_{name}() RETURNS int RETURN 1'; END $$"))
        await connection.commit()


async def test_a_role_without_privileges_has_a_changed_catalog_undone(unprivileged):
    """No event trigger says so; the catalog is compared."""
    for _ in range(3):
        record = await unprivileged.run(Makes(), Order())
        assert not record.findings
        assert sorted(record.outcome.rows) == ["by_a", "by_b"]


async def test_histories_cover_tables_made_in_setup_and_by_actors(explorer):
    record = await explorer.run(Writes(), Order(), recorded=True)
    written = str(record.history)
    assert "of_setup 1" in written
    assert "of_actor 1" in written


class Writes(Scenario):
    async def setup(self, session) -> None:
        await session.execute(text("CREATE TABLE of_setup (id int PRIMARY KEY, n int)"))
        await session.execute(text("INSERT INTO of_setup VALUES (1, 1)"))

    @actor
    async def a(self, connection) -> None:
        await connection.execute(text("CREATE TABLE of_actor (id int PRIMARY KEY, n int)"))
        await connection.execute(text("INSERT INTO of_actor VALUES (1, 1)"))
        await connection.execute(text("UPDATE of_setup SET n = 2"))
        await connection.commit()

    @actor
    async def b(self, connection) -> None:
        await connection.execute(text("SELECT 1"))


class Passing(Writes):
    """What is temporary in an actor's session, or only looked at anew, changes no catalog."""

    @actor
    async def a(self, connection) -> None:
        await connection.execute(text("CREATE TEMP TABLE scratch (id serial PRIMARY KEY, n int)"))
        await connection.execute(text("CREATE INDEX ON scratch (n)"))
        await connection.execute(text("DROP TABLE scratch"))
        await connection.execute(text("CREATE TABLE IF NOT EXISTS of_setup (id int)"))
        await connection.commit()


async def test_temporary_tables_do_not_make_the_database_again(explorer):
    await explorer.run(Passing(), Order())
    database, _ = await explorer._databases.ready(Passing())
    await explorer.run(Passing(), Order())
    assert not database.journal.altered
