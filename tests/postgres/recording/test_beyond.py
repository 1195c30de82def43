"""What a statement reaches by other names than a table's is followed, or named as not followed; it is never nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from helpers.kit import Order
from sqlalchemy import DDL, Column, Integer, MetaData, Table, column, event, select, table, text

from lab import Scenario, actor

METADATA = MetaData()
BILL, NOTE, SEAL = (
    Table(name, METADATA, Column("id", Integer, primary_key=True), Column("amount", Integer))
    for name in ("bill", "note", "seal")
)
READING = Table(
    "reading",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("amount", Integer),
    postgresql_partition_by="RANGE (day)",
)
MADE = (
    "CREATE TABLE reading_0 PARTITION OF reading FOR VALUES FROM (0) TO (10) PARTITION BY LIST (id)",
    "CREATE TABLE reading_0_1 PARTITION OF reading_0 FOR VALUES IN (1)",
    "CREATE TABLE reading_1 PARTITION OF reading DEFAULT",
    "CREATE VIEW large AS SELECT id, amount FROM bill WHERE amount > 10",
    "CREATE VIEW largest AS SELECT max(amount) AS amount FROM large",
    "CREATE MATERIALIZED VIEW kept AS SELECT id, amount FROM bill",
    "CREATE FUNCTION sum_of_bills() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(amount) FROM bill'",
    "CREATE FUNCTION doubled() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.amount := 2; RETURN NEW; END'",
    "CREATE TRIGGER doubled BEFORE INSERT ON note FOR EACH ROW EXECUTE FUNCTION doubled()",
    """CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS
       'BEGIN NEW.amount := (SELECT count(*) FROM bill); RETURN NEW; END'""",
    "CREATE TRIGGER counted BEFORE INSERT ON seal FOR EACH ROW EXECUTE FUNCTION counted()",
)
for each in MADE:
    event.listen(METADATA, "after_create", DDL(each.replace("%", "%%")))


def beside(look):
    """Two actors that look and then write a large bill."""

    @dataclass(frozen=True)
    class Beside(Scenario):
        metadata = METADATA

        async def setup(self, session) -> None:
            await session.execute(text("INSERT INTO bill VALUES (1, 20)"))
            await session.execute(text("INSERT INTO reading VALUES (1, 3, 0), (1, 30, 0)"))

        @actor
        async def ann(self, session) -> None:
            await session.execute(look)
            await session.execute(BILL.insert().values(id=11, amount=50))
            await session.execute(READING.insert().values(id=2, day=40, amount=1))
            await session.commit()

        @actor
        async def ben(self, session) -> None:
            await session.execute(look)
            await session.execute(BILL.insert().values(id=12, amount=60))
            await session.execute(READING.insert().values(id=3, day=40, amount=1))
            await session.commit()

    return Beside()


async def recorded(explorer, scenario):
    return await explorer.run(scenario, Order("ann ben ben ben ben ann ann ann"), recorded=True)


@pytest.mark.parametrize(
    "look",
    [
        text("SELECT count(*) FROM large"),
        text("SELECT amount FROM largest"),
        select(table("large", column("amount")).c.amount),
        text("SELECT l.id FROM large l JOIN bill b ON b.id = l.id"),
        select(READING.c.id),
        text("SELECT sum(amount) FROM reading WHERE day > 20"),
    ],
    ids=str,
)
async def test_views_and_partitioned_tables_are_read_like_tables(explorer, look):
    record = await recorded(explorer, beside(look))
    assert record.unseen == ()
    assert record.anomalies == ("G2",)


@pytest.mark.parametrize(
    ("look", "beginning"),
    [
        (text("SELECT sum_of_bills()"), "SELECT sum_of_bills()"),
        (text("SELECT count(*) FROM kept"), "SELECT count(*) FROM kept"),
        (text("SELECT amount FROM reading_0_1"), "SELECT amount FROM reading_0_1"),
        (SEAL.insert().values(id=1), "INSERT INTO seal"),
    ],
    ids=["function", "materialized view", "partition by its name", "trigger that looks"],
)
async def test_what_looks_at_rows_that_are_not_known_is_named(explorer, look, beginning):
    record = await explorer.run(beside(look), Order("ann"), recorded=True)
    assert {each for each in record.unseen if each.startswith(beginning)}
    assert len(record.unseen) <= 2, "one for each actor"


@pytest.mark.parametrize(
    "look",
    [text("SELECT 1"), text("SELECT now()"), NOTE.insert().values(amount=1), NOTE.delete().where(NOTE.c.id == 7)],
    ids=["nothing", "a function of PostgreSQL", "trigger that looks at its own row", "no row"],
)
async def test_what_looks_at_nothing_else_is_not_named(explorer, look):
    record = await explorer.run(beside(look), Order("ann"), recorded=True)
    assert record.unseen == ()
