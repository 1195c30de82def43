"""Code of several statements sees what others commit between them; what of that no schedule can reach is named."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import DDL, Column, Integer, MetaData, Table, event, insert, text, update

from lab import Scenario, actor, invariant
from lab.explore import Conditions
from lab.model.trace import ActionKind
from lab.postgres.connections.points import ends_of
from lab.postgres.statements.several import reads_beside, reads_later
from lab.scenario.declare import target_of
from lab.schedulers.serial import Serial
from lab.search.hunt import Hunt
from lab.search.job import Job

METADATA = MetaData()
ITEM = Table("item", METADATA, Column("id", Integer, primary_key=True, autoincrement=False), Column("n", Integer))
TOTAL = Table("total", METADATA, Column("id", Integer, primary_key=True, autoincrement=False), Column("n", Integer))
COUNTED = Table("counted", METADATA, Column("id", Integer, primary_key=True, autoincrement=False), Column("n", Integer))
READ = "SELECT n INTO a FROM item WHERE id = 1; SELECT n INTO b FROM item WHERE id = 2;"
WROTE = "INSERT INTO total VALUES (1, a + b);"
FUNCTION = "CREATE FUNCTION {} RETURNS {} LANGUAGE plpgsql {} AS $$DECLARE a int; b int; BEGIN {} END$$"
for made in (
    FUNCTION.format("reads()", "int", "", f"{READ} RETURN a + b;"),
    FUNCTION.format("calls()", "int", "", "RETURN reads();"),
    FUNCTION.format("steady()", "int", "STABLE", f"{READ} RETURN a + b;"),
    FUNCTION.format("once()", "int", "", "RETURN (SELECT sum(n) FROM item);"),
    FUNCTION.format("sums()", "trigger", "", f"{READ} NEW.n = a + b; RETURN NEW;"),
    "CREATE VIEW beside AS SELECT once() + sum(n) AS n FROM item",
    "CREATE TRIGGER sums BEFORE INSERT ON counted FOR EACH ROW EXECUTE FUNCTION sums()",
):
    event.listen(METADATA, "after_create", DDL(made))

NAMED = {
    "a function": text("SELECT reads()"),
    "one that calls it": text("SELECT calls()"),
    "two that are called": text("SELECT once() + once()"),
    "one beside a query": text("SELECT once() + sum(n) FROM item"),
    "one in a view": text("SELECT n FROM beside"),
    "one for each row": text("SELECT once() FROM generate_series(1, 2)"),
    "a block": text(f"DO $$DECLARE a int; b int; BEGIN {READ} {WROTE} END$$"),
    "a trigger": insert(COUNTED).values(id=1),
}
SEARCHED = {
    "one snapshot": text("SELECT steady()"),
    "one statement": text("SELECT once()"),
    "one statement as a source": text("SELECT * FROM public.once()"),
    "one snapshot for both": text("SELECT steady() + sum(n) FROM item"),
    "a query": text("SELECT sum(n) FROM item"),
}


@dataclass(frozen=True)
class Moves(Scenario):
    """One moves an amount, the other looks at both."""

    metadata = METADATA
    way: str = ""

    async def setup(self, session):
        await session.execute(insert(ITEM), [{"id": 1, "n": 50}, {"id": 2, "n": 50}])

    @actor
    async def mover(self, session):
        await session.execute(update(ITEM).where(ITEM.c.id == 1).values(n=40))
        await session.execute(update(ITEM).where(ITEM.c.id == 2).values(n=60))
        await session.commit()

    @actor
    async def reader(self, session):
        await session.execute({**NAMED, **SEARCHED}[self.way])
        await session.commit()

    @invariant
    async def nothing_is_asked(self):
        """What was searched is the question here."""


class AsOneText(Moves):
    """Several statements that the driver sends as one."""

    @actor
    async def reader(self, session):
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        await driver.execute("SELECT n FROM item WHERE id = 1; SELECT n FROM item WHERE id = 2")


async def hunted(explorer, scenario, level=None):
    conditions = Conditions(level)
    job = Job(target_of(type(scenario)), "dpor", 100, refine=False, conditions=conditions)
    return await Hunt(scenario, job).run(explorer)


@pytest.mark.parametrize("scenario", [*map(Moves, NAMED), AsOneText()], ids=str)
async def test_what_may_come_between_is_named(explorer, scenario):
    result = await hunted(explorer, scenario)
    (said,) = result.unsearched
    assert said.startswith("what others commit between the statements within ")
    assert not result.complete


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("-- " + "-" * 200 + "\n/* why */ COMMIT -- " + "-" * 200, ActionKind.COMMIT),
        ("-- " + "-" * 200 + "\nSELECT 1", None),
        ("/*" + "*" * 200 + "/ SELECT 1", None),
        ("/* COMMIT */ SELECT 1", None),
    ],
)
def test_comments_do_not_hide_what_a_statement_is(query, expected):
    assert ends_of(query) is expected


@dataclass(frozen=True)
class Makes(Scenario):
    """Two that make what is missing, each in a statement of its own."""

    sent: str

    async def setup(self, session):
        pass

    @actor(names=("ann", "ben"))
    async def make(self, engine):
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text(self.sent))


async def test_what_looks_and_makes_in_one_step_is_named(explorer):
    sent = "CREATE TABLE IF NOT EXISTS made (id int)"
    record = await explorer.run(Makes(sent), Serial())
    assert record.unsearched == (f"what others commit between the look and the end of {sent}, which is one step",)
    assert (await explorer.run(Makes("SELECT 1"), Serial())).unsearched == ()


@pytest.mark.parametrize("way", SEARCHED)
async def test_one_snapshot_has_nothing_between(explorer, way):
    result = await hunted(explorer, Moves(way))
    assert result.unsearched == []
    assert result.exhausted


async def test_nor_have_statements_of_a_level_with_one_snapshot(explorer):
    assert (await hunted(explorer, Moves("a function"), "REPEATABLE READ")).unsearched == []


@pytest.mark.parametrize(
    ("source", "later"),
    [
        ("SELECT 1", False),
        ("SELECT 1;", False),
        ("SELECT n INTO v FROM item FOR UPDATE; UPDATE item SET n = v; -- select", False),
        ("IF (SELECT count(*) FROM item) < 1 THEN INSERT INTO item VALUES (1); END IF;", False),
        ("SELECT 1; SELECT 2", True),
        ("UPDATE item SET n = 1; v := (SELECT n FROM total);", True),
        ("UPDATE item SET n = 1; PERFORM reads();", True),
        ("UPDATE item SET n = 1; v := count(*) FROM total;", True),
        ("UPDATE item SET n = 1; TABLE total", True),
        ("DELETE FROM item; DELETE\nFROM total", False),
        ("UPDATE item SET n = 1; UPDATE total SET n = extract(epoch FROM now())", False),
        ("UPDATE item SET n = 1; UPDATE total SET n = 2 WHERE n IS DISTINCT FROM 2", False),
        ("UPDATE item SET n = 1; COPY total FROM STDIN", False),
    ],
)
def test_which_code_reads_later(source, later):
    assert reads_later(source) is later


@pytest.mark.parametrize(
    ("text", "beside"),
    [
        ("SELECT f(1)", False),
        ("SELECT f(1) + f(2)", True),
        ("SELECT f(1) + g(2)", False),
        ('SELECT * FROM "f"(1)', False),
        ("SELECT * FROM public.f(1) x", False),
        ("SELECT * FROM f(1) JOIN item USING (id)", True),
        ("SELECT f(id) FROM ONLY item", True),
        ("UPDATE item SET n = f(1)", True),
        ("INSERT INTO total VALUES (1, f(1))", False),
        ("SELECT g(id) FROM item", False),
    ],
)
def test_which_queries_read_beside_a_function(text, beside):
    assert reads_beside(text, frozenset({"f"})) is beside
