"""Tables may come from migrations, from setup or from actors: each execution begins with what setup left."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import pytest
from cases.schemas import MadeOnce, MadeTwice, MigratedOnce, MigratedTwice, SpentOnce, SpentTwice
from helpers.kit import Bank, Order, add, replays, told
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from lab import Scenario, actor, invariant
from lab.engine.watchdog import Watchdog, watchdog
from lab.errors import ScenarioError
from lab.model.bounds import Bounds
from lab.schedulers import make_scheduler
from lab.search.hunt import Hunt

RIGHT = (MigratedOnce, SpentOnce, MadeOnce)
WRONG = (MigratedTwice, SpentTwice, MadeTwice)


class Idle(Scenario):
    @actor(names=("a", "b"))
    async def work(self, connection):
        await connection.execute(text("SELECT 1"))


def hunted(scenario, executions, **more):
    return Hunt.of(scenario, scheduler="random", executions=executions, refine=False, **more)


@pytest.mark.parametrize("right", RIGHT)
async def test_what_is_right_passes(explorer, right):
    """Rows, sequences and tables are as setup left them in each of many executions."""
    result = await hunted(right(), 12).run(explorer)
    assert (result.executions, result.failures) == (12, [])


@pytest.mark.long
@pytest.mark.parametrize("right", RIGHT)
async def test_what_is_right_passes_for_long(explorer, right):
    result = await hunted(right(), 500).run(explorer)
    assert (result.executions, result.failures) == (500, [])


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_found_and_replays(explorer, wrong):
    """A fifth of random schedules of two steps before a write break it, so 20 executions all but surely find it."""
    scheduler = make_scheduler("random", 1)
    for number in range(20):
        record = await explorer.run(wrong(), scheduler, execution=number)
        if record.findings:
            break
    assert record.findings
    assert await replays(explorer, record, 5)


@pytest.mark.long
@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_found_among_many(explorer, wrong):
    """Every execution is judged alike: the same schedules break it when they are run again."""
    broken = []
    for _ in range(2):
        scheduler = make_scheduler("random", 1)
        records = [await explorer.run(wrong(), scheduler, execution=number) for number in range(250)]
        broken.append([number for number, record in enumerate(records) if record.findings])
    assert broken[0] == broken[1] != []


async def test_a_refused_create_table_is_a_violation(explorer):
    record = await explorer.run(MadeTwice(), Order("a b b b b"))
    assert {finding.checker for finding in record.findings} == {"result"}
    assert record.outcome.results["a"].sqlstate == "42P07"


class Race(Scenario):
    """Two CREATE TABLE at the same time: the second waits for the name of the first."""

    @actor(names=("a", "b"))
    async def make(self, connection):
        await connection.execute(text("CREATE TABLE wanted (id int)"))
        await connection.execute(text("INSERT INTO wanted VALUES (1)"))
        await connection.commit()


async def test_a_wait_for_an_entry_of_the_catalog_names_what_it_is(explorer):
    """Places of rows there differ from run to run, so they are no part of a trace."""
    record = await explorer.run(Race(), Order("a b a a b"))
    wait = record.trace.steps[1].wait
    assert wait is not None
    assert wait.target == "name of a type (pg_type)"
    assert record.outcome.results["b"].sqlstate == "23505"
    assert await replays(explorer, record, 5)


class Alters(Bank):
    """One changes a table, the other writes it by a construct that the lab would understand."""

    @actor
    async def changes(self, connection):
        await connection.execute(text("ALTER TABLE account ADD COLUMN note text DEFAULT 'new'"))
        await connection.execute(text("CREATE TABLE more (id int)"))
        await connection.execute(text("LOCK TABLE more"))
        await connection.execute(text("INSERT INTO more VALUES (1)"))
        await connection.commit()

    @actor
    async def writes(self, connection):
        await connection.execute(add(1))
        await connection.commit()


async def test_the_final_rows_are_those_of_the_changed_catalog(explorer):
    for _ in range(2):
        record = await explorer.run(Alters(), Order())
        assert record.outcome.rows["more"] == ("(1)",)
        assert all(row.endswith(",new)") for row in record.outcome.rows["account"])


async def test_a_changed_catalog_is_no_others_business(explorer):
    """Another scenario with the same metadata sees the tables as they were made."""
    await explorer.run(Alters(), Order())
    record = await explorer.run(Plain(), Order())
    assert "more" not in record.outcome.rows
    assert record.outcome.rows["account"][0] == "(1,101)"


class Plain(Bank):
    @actor(names=("a", "b"))
    async def work(self, connection):
        await connection.execute(add(1 if connection else 2))
        await connection.rollback()

    @actor
    async def once(self, connection):
        await connection.execute(add(1))
        await connection.commit()


async def test_tables_made_in_setup_are_one_scenarios_own(explorer):
    """Two scenarios make a table of one name in setup, and take turns."""
    for _ in range(2):
        for scenario, rows in ((SpentOnce(), ("(1,30)",)), (Other(), ("(other)",))):
            record = await explorer.run(scenario, Order())
            assert record.outcome.rows["purse"] == rows


class Other(Idle):
    async def setup(self, session):
        await session.execute(text("CREATE TABLE purse (name text)"))
        await session.execute(text("INSERT INTO purse VALUES ('other')"))


@dataclass(frozen=True)
class Named(Idle):
    """A hook of an instance may look at its parameters."""

    table: str = "one"

    async def schema(self, connection):
        await connection.execute(text(f"CREATE TABLE {self.table} (id int)"))


async def test_a_hook_of_an_instance_makes_a_database_for_each_set_of_parameters(explorer):
    found = [(await explorer.run(Named(name), Order())).outcome.rows for name in ("one", "two", "one")]
    assert [list(rows) for rows in found] == [["one"], ["two"], ["one"]]


async def test_a_hook_runs_once_for_its_database(explorer):
    class Counted(Idle):
        ran = 0

        @classmethod
        async def schema(cls, connection):
            cls.ran += 1
            await connection.execute(text("CREATE TABLE made (id int)"))

        @actor(names=("a", "b"))
        async def work(self, connection, name):
            await connection.execute(text(f"CREATE TABLE by_{name} (id int)"))
            await connection.commit()

    for _ in range(5):
        record = await explorer.run(Counted(), Order())
        assert sorted(record.outcome.rows) == ["by_a", "by_b", "made"]
    assert Counted.ran == 1


async def test_after_a_change_statements_are_not_taken_as_understood(explorer):
    """A statement's footprint comes from the catalog that was read before, so from then on it counts as everything."""
    record = await explorer.run(Alters(), Order("changes changes changes changes changes writes"))
    own = [step for step in record.trace if step.actor == "changes" and step.action.kind.value == "statement"]
    assert len(own) == 4
    assert all(step.action.footprint is None for step in own)


class Fails(Idle):
    async def schema(self, connection):
        await connection.execute(text("CREATE TABLE"))


class Hangs(Idle):
    async def setup(self, session):
        await asyncio.Event().wait()


class HookHangs(Idle):
    async def schema(self, connection):
        await connection.execute(text("SELECT pg_sleep(60)"))


class Temporary(Idle):
    async def setup(self, session):
        await session.execute(text("CREATE TEMP TABLE scratch (id int)"))


class MakesRole(Idle):
    async def setup(self, session):
        await session.execute(text("CREATE ROLE made_by_setup"))


class Sets(Idle):
    async def setup(self, session):
        name = await session.scalar(text("SELECT current_database()"))
        await session.execute(text(f"ALTER DATABASE {name} SET work_mem = '1MB'"))


class ActorMakesRole(Idle):
    @actor(names=("a", "b"))
    async def work(self, connection, name):
        await connection.execute(text(f"CREATE ROLE made_by_{name}"))


class NotACoroutine(Idle):
    def schema(self, connection):
        pass


class AsksForMore(Idle):
    async def schema(self, session):
        pass


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        (Fails, "the schema hook of .*:Fails failed: ProgrammingError|PostgresSyntaxError"),
        (Hangs, "the setup of .*:Hangs took more than 0.2 s"),
        (HookHangs, "the schema hook of .*:HookHangs took more than 0.2 s"),
        (Temporary, "leaves the temporary table 'scratch'"),
        (MakesRole, "the setup of .*:MakesRole changes roles"),
        (Sets, "changes the settings of a role or of the database"),
        (ActorMakesRole, "an actor of .*:ActorMakesRole ran CREATE ROLE"),
        (NotACoroutine, "schema must be `async def`"),
        (AsksForMore, "schema asks for 'session'; it can ask for connection"),
    ],
)
async def test_what_cannot_be_restored_is_refused_with_one_sentence(explorer, scenario, said):
    dog = Watchdog(Bounds(setup=0.2)) if "hangs" in scenario.__name__.lower() else Watchdog()
    reset = watchdog.set(dog)
    with pytest.raises(ScenarioError, match=said) as refused:
        await explorer.run(scenario(), Order())
    watchdog.reset(reset)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_status == 2
    assert told((await explorer.run(SpentOnce(), Order())).trace), "what comes after is as if nothing had happened"


class MakesRoleInHook(Idle):
    async def schema(self, connection):
        await connection.execute(text("CREATE ROLE of_the_hook"))
        await connection.execute(text("CREATE EXTENSION IF NOT EXISTS plpgsql"))

    @invariant
    async def it_is_there(self, session):
        assert await session.scalar(text("SELECT true FROM pg_roles WHERE rolname = 'of_the_hook'"))


async def test_a_hook_may_make_roles(explorer):
    assert not (await explorer.run(MakesRoleInHook(), Order())).findings


async def test_scenarios_share_what_a_static_hook_made(explorer):
    """It knows neither class nor parameters, so it runs once; each scenario has the rows of its own setup."""
    made = []

    async def make(connection):
        made.append(await connection.scalar(text("SELECT current_database()")))
        await connection.execute(text("CREATE TABLE jar (coins int)"))

    class One(Idle):
        schema = staticmethod(make)
        coins = 1

        async def setup(self, session):
            await session.execute(text(f"INSERT INTO jar VALUES ({self.coins})"))

        @invariant
        async def as_it_was_filled(self, session):
            assert await session.scalar(text("SELECT sum(coins) FROM jar")) == self.coins

    class Two(One):
        coins = 2

    for scenario in (One(), Two(), One()):
        assert not (await explorer.run(scenario, make_scheduler("serial", 0))).failed
    assert len(made) == 1


async def _migrate():
    """What `alembic init -t async` puts into env.py."""
    engine = create_async_engine("postgresql+asyncpg://nobody@nowhere.invalid/app", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text("CREATE TABLE jar (coins int)"))
        await connection.commit()
    await engine.dispose()


async def test_migrations_with_an_event_loop_of_their_own_run_in_a_thread(explorer):
    """They find the lab's database, whatever their URL says."""

    class Migrated(Idle):
        @classmethod
        async def schema(cls, connection):
            await asyncio.to_thread(lambda: asyncio.run(_migrate()))

        @invariant
        async def the_table_is_there(self, session):
            assert await session.scalar(text("SELECT count(*) FROM jar")) == 0

    assert not (await explorer.run(Migrated(), make_scheduler("serial", 0))).failed


async def test_migrations_that_start_an_event_loop_in_the_labs_are_told_where_to_run(explorer):
    class Migrated(Idle):
        @classmethod
        async def schema(cls, connection):
            with contextlib.closing(_migrate()) as work:
                asyncio.run(work)

    with pytest.raises(ScenarioError, match=r"starts an event loop of its own: .* asyncio\.to_thread"):
        await explorer.run(Migrated(), make_scheduler("serial", 0))
