"""A statement that looks at rows and then writes one can be old by then: it pauses before the first row it writes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from helpers.decided import said
from helpers.kit import Order, replays, searched
from sqlalchemy import DDL, Column, Integer, MetaData, Table, Text, event, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from lab import Scenario, actor, invariant
from lab.scenario.declare import target_of
from lab.schedulers.dpor import Dpor
from lab.search.hunt import Hunt
from lab.search.job import Job

METADATA = MetaData()
ITEM = Table("item", METADATA, Column("id", Integer, primary_key=True, autoincrement=False), Column("n", Integer))
JOB = Table("job", METADATA, Column("id", Integer, primary_key=True, autoincrement=False), Column("who", Text))
TICKET = Table(
    "ticket", METADATA, Column("id", Integer, primary_key=True, autoincrement=False), Column("number", Integer)
)
BARE = Table("bare", METADATA, Column("n", Integer))
READ = "SELECT n INTO v FROM item WHERE id = 1;"
WRITE = "UPDATE item SET n = v + 1 WHERE id = 1;"
COUNTED = "BEGIN NEW.number = (SELECT count(*) FROM ticket); RETURN NEW; END"
for made in (
    f"CREATE FUNCTION raised() RETURNS void LANGUAGE plpgsql AS $$DECLARE v int; BEGIN {READ} {WRITE} END$$",
    f"CREATE PROCEDURE raises() LANGUAGE plpgsql AS $$DECLARE v int; BEGIN {READ} COMMIT; {WRITE} END$$",
    f"CREATE FUNCTION numbers() RETURNS trigger LANGUAGE plpgsql AS $${COUNTED}$$",
    "CREATE TRIGGER numbers BEFORE INSERT ON ticket FOR EACH ROW EXECUTE FUNCTION numbers()",
    "CREATE VIEW shown AS SELECT id, n FROM item",
    "CREATE RULE hidden AS ON UPDATE TO shown DO INSTEAD UPDATE item SET n = NEW.n WHERE id = OLD.id",
):
    event.listen(METADATA, "after_create", DDL(made))

FIRST = select(func.min(JOB.c.id)).where(JOB.c.who.is_(None)).scalar_subquery()
SUM = select(func.sum(ITEM.c.n) + 1).scalar_subquery()
LOOK = {
    "a function": text("SELECT raised()"),
    "a procedure": text("CALL raises()"),
    "a block": text(f"DO $$DECLARE v int; BEGIN {READ} {WRITE} END$$"),
    "a rule": text("UPDATE shown SET n = n + 1 WHERE id = 1"),
    "a subquery": text("UPDATE item SET n = (SELECT n FROM item WHERE id = 1) + 1 WHERE id = 1"),
    "a join": text("UPDATE item i SET n = o.n + 1 FROM item o WHERE i.id = 1 AND o.id = 1"),
    "a CTE": text("WITH o AS (SELECT n FROM item WHERE id = 1) UPDATE item SET n = o.n + 1 FROM o WHERE item.id = 1"),
    "a construct": update(ITEM).where(ITEM.c.id == 1).values(n=SUM),
    "a condition": update(ITEM).where(ITEM.c.n == select(func.max(ITEM.c.n)).scalar_subquery()).values(n=SUM),
}
"""Statements that count once what two of them should count twice."""
ATOMIC = {
    "a sum": update(ITEM).where(ITEM.c.id == 1).values(n=ITEM.c.n + 1),
    "text": text("UPDATE item SET n = n + 1 WHERE id = 1"),
    "an upsert": upsert(ITEM).values(id=1, n=1).on_conflict_do_update(index_elements=["id"], set_={"n": ITEM.c.n + 1}),
}


@dataclass(frozen=True)
class Alone(Scenario):
    """Two statements, each its own transaction."""

    metadata = METADATA
    way: str = ""

    async def setup(self, session):
        await session.execute(insert(ITEM).values(id=1, n=0))
        await session.execute(insert(JOB), [{"id": 1}, {"id": 2}])

    async def writes(self, connection, name):
        await connection.execute({**LOOK, **ATOMIC}[self.way])

    @actor(names=("ann", "ben"))
    async def work(self, engine, name):
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            return await self.writes(connection, name)

    @invariant
    async def both_count(self, session):
        assert await session.scalar(select(ITEM.c.n)) == 2


class Claims(Alone):
    """The idiom of a queue in one statement."""

    statement = update(JOB).where(JOB.c.id == FIRST)

    async def writes(self, connection, name):
        return await connection.scalar(self.statement.values(who=name).returning(JOB.c.id))

    @invariant
    async def both_count(self, outcome):
        claimed = [each.value for each in outcome.results.values() if each.value]
        assert len(claimed) == len(set(claimed))


class ClaimsAgain(Claims):
    """The condition is also one of the row itself, so it is checked again after a wait."""

    statement = update(JOB).where(JOB.c.id == FIRST, JOB.c.who.is_(None))


class ClaimsFree(Claims):
    """The idiom with SKIP LOCKED, which would skip a row that the lab holds."""

    statement = update(JOB).where(
        JOB.c.id
        == select(JOB.c.id).where(JOB.c.who.is_(None)).limit(1).with_for_update(skip_locked=True).scalar_subquery()
    )


class Numbers(Alone):
    """A trigger counts."""

    async def writes(self, connection, name):
        await connection.execute(insert(TICKET).values(id={"ann": 1, "ben": 2}[name]))

    @invariant
    async def both_count(self, session):
        assert list(await session.scalars(select(TICKET.c.number).order_by(TICKET.c.number))) == [0, 1]


class Keyless(Alone):
    """There is no key by which a row could be held."""

    async def writes(self, connection, name):
        await connection.execute(text("INSERT INTO bare SELECT count(*) FROM bare"))

    @invariant
    async def both_count(self, session):
        assert await session.scalar(select(func.count()).select_from(BARE)) == 2


async def hunted(explorer, scenario):
    job = Job(target_of(type(scenario)), "dpor", 100, refine=False)
    return await Hunt(scenario, job).run(explorer)


@pytest.mark.parametrize("way", LOOK)
async def test_what_it_saw_may_be_old_and_that_replays(explorer, way):
    record = await explorer.run(Alone(way), Order("pause1@ann ben ann"))
    first = record.trace.steps[0]
    assert first.wait.holders == ("a breakpoint",)
    assert first.wait.target == "before row id=1 of item"
    assert record.broken
    assert await replays(explorer, record, times=5)


@pytest.mark.parametrize("scenario", [*map(Alone, LOOK), Claims(), Numbers()], ids=str)
async def test_a_search_finds_it(explorer, scenario):
    assert (await hunted(explorer, scenario)).verdict == "fail"


@pytest.mark.parametrize("way", ATOMIC)
async def test_no_pause_is_offered_before_a_row_that_is_read_again(explorer, way):
    async for record in searched(explorer, Alone(way), Dpor()):
        assert not record.failed
        assert not any("@" in each for step in record.trace for each in said(step.alternatives))


async def test_a_condition_that_is_checked_again_holds(explorer):
    result = await hunted(explorer, ClaimsAgain())
    assert result.verdict == "pass"
    assert result.complete


@pytest.mark.parametrize(("scheduler", "verdict"), [("dpor", "pass"), ("serial", "inconclusive")])
@pytest.mark.parametrize("way", ATOMIC)
async def test_statements_that_have_no_inside_pass_once_every_trace_was_run(explorer, way, scheduler, verdict):
    """There are two traces, and nothing overlaps in either: a proof by reduction, and by nothing else."""
    job = Job(target_of(Alone), scheduler, 100, refine=False)
    result = await Hunt(Alone(way), job).run(explorer)
    assert (result.verdict, result.coverage.overlapped) == (verdict, 0)


async def test_what_would_skip_a_held_row_is_said_to_be_one_step(explorer):
    result = await hunted(explorer, ClaimsFree())
    (said,) = result.unsearched
    assert said.startswith("orders within UPDATE job")
    assert said.endswith("it would notice a pause")
    assert not result.complete


async def test_without_a_key_it_is_said_that_nothing_came_between(explorer):
    result = await hunted(explorer, Keyless())
    assert any("orders within INSERT INTO bare" in each for each in result.unsearched), result.unsearched
    assert not result.complete
