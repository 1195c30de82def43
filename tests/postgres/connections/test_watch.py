"""An application's own engine: lent for an execution, given back after it."""

from __future__ import annotations

import time

import asyncpg
import pytest
from helpers.kit import Bank, Base, Order, add, replays, told
from sqlalchemy import MetaData, event, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

import lab
from lab import actor
from lab.errors import ScenarioError
from lab.model.outcome import Ending


@pytest.fixture(scope="module")
async def home(server, anyio_backend):
    """The application's own database, as a URL; the lab must not write there."""
    connection = await asyncpg.connect(**server.connect)
    await connection.execute("CREATE DATABASE home")
    await connection.close()
    url = f"postgresql+asyncpg://postgres@/home?host={server.folder / 's'}"
    engine = create_async_engine(url)
    async with engine.begin() as own:
        await own.run_sync(Base.metadata.create_all)
        await own.execute(text("INSERT INTO account VALUES (1, 7)"))
    await engine.dispose()
    return url


@pytest.fixture
async def application(home):
    engine = create_async_engine(home, pool_size=5)
    yield engine
    await engine.dispose()


def of_its_own(engine):
    """A scenario whose actors use nothing but the application's session factory."""
    factory = async_sessionmaker(engine)

    class Own(Bank):
        watch = (engine,)

        @actor(names=("alice", "bob"))
        async def work(self) -> str:
            async with factory() as session:
                name = await session.scalar(text("SELECT current_database()"))
                await session.execute(add(1))
                await session.commit()
                return name

    return Own()


async def balance(engine) -> int:
    async with engine.connect() as connection:
        return await connection.scalar(text("SELECT balance FROM account WHERE id = 1"))


async def test_a_watched_engine_is_led_to_the_labs_database_and_given_back(explorer, application):
    assert await balance(application) == 7
    record = await explorer.run(of_its_own(application), Order("alice bob alice bob alice bob"))
    assert record.outcome.rows["account"][0] == "(1,102)"
    assert record.outcome.results["alice"].value.startswith("concurrency_lab_")
    assert any(step.wait for step in record.trace)
    assert await balance(application) == 7, "between executions it is the application's own"
    assert await replays(explorer, record, times=5)
    assert await balance(application) == 7


async def test_an_explorer_can_watch_an_engine_of_which_the_scenario_knows_nothing(explorer, application):
    class Unaware(Bank):
        @actor(names=("alice", "bob"))
        async def work(self) -> None:
            async with application.begin() as connection:
                await connection.execute(add(1))

    with explorer.watching(application):
        record = await explorer.run(Unaware(), Order("alice bob"))
        assert record.outcome.rows["account"][0] == "(1,102)"
    assert await balance(application) == 7


async def test_one_engine_serves_scenarios_of_two_schemas(explorer, application):
    class Elsewhere(Bank):
        metadata = MetaData()

        async def setup(self, session) -> None: ...

        @actor(names=("alice", "bob"))
        async def work(self) -> str:
            async with application.connect() as connection:
                return await connection.scalar(text("SELECT current_database()"))

    own = of_its_own(application)
    with explorer.watching(application):
        here = await explorer.run(own, Order())
        there = await explorer.run(Elsewhere(), Order())
        again = await explorer.run(own, Order())
    assert here.outcome.results["alice"].value != there.outcome.results["alice"].value
    assert again.same_as(here)
    assert [line.split()[0] for line in told(there.trace)] == ["alice", "alice", "bob", "bob"], "one point each"


@pytest.mark.parametrize(("size", "ending"), [(2, Ending.STALLED), (3, Ending.COMPLETED)])
async def test_a_pool_that_is_too_small_is_a_stall(explorer, home, size, ending):
    """Each actor holds one connection and wants a second: two are too few, three will do."""
    engine = create_async_engine(home, pool_size=size, max_overflow=0)

    class Greedy(Bank):
        watch = (engine,)

        @actor(names=("alice", "bob"))
        async def work(self, name) -> None:
            async with engine.connect() as one:
                await one.execute(add(3 if name == "alice" else 4))
                async with engine.connect() as two:
                    await two.execute(text("SELECT 1"))

    before = time.monotonic()
    record = await explorer.run(Greedy(), Order("alice bob"))
    assert record.outcome.ending is ending
    assert time.monotonic() - before < 15, "the pool's own 30 seconds were waited out"
    await engine.dispose()


async def test_an_actor_waits_for_a_pool_slot_until_another_gives_it(explorer, home):
    engine = create_async_engine(home, pool_size=1, max_overflow=0)
    record = await explorer.run(of_its_own(engine), Order("alice"))
    assert [line.split()[0] for line in told(record.trace)] == ["alice"] * 3 + ["bob"] * 3
    assert record.outcome.rows["account"][0] == "(1,102)"
    assert await replays(explorer, record)
    await engine.dispose()


async def test_an_engine_without_a_pool_gives_the_same_trace_each_time(explorer, home):
    """Every connection is opened inside the execution, and the application sets each up by a statement."""
    engine = create_async_engine(home, poolclass=NullPool)

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection, record) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT 'set up'")
        cursor.close()
        connection.commit()

    class Opens(Bank):
        watch = (engine,)

        @actor(names=("alice", "bob"))
        async def work(self) -> None:
            for _ in range(2):
                async with engine.connect() as connection:
                    await lab.point("opened")
                    await connection.execute(add(1))
                    await connection.commit()

    record = await explorer.run(Opens(), Order("alice bob alice bob"))
    assert record.trace.steps[0].result is None, "what sets a connection up is no part of the step"
    assert record.outcome.rows["account"][0] == "(1,104)"
    assert await replays(explorer, record)
    await engine.dispose()


async def test_after_a_stall_a_watched_pool_is_usable(explorer, application):
    class Stalls(Bank):
        watch = (application,)

        @actor
        async def alice(self) -> None:
            async with application.connect() as connection:
                await connection.execute(add(1))
                async with application.connect() as second:
                    await second.execute(add(1))

        @actor
        async def bob(self) -> None: ...

    own = of_its_own(application)
    expected = await explorer.run(own, Order("alice bob alice bob"))
    assert (await explorer.run(Stalls(), Order())).outcome.ending is Ending.STALLED
    assert (await explorer.run(own, Order("alice bob alice bob"))).same_as(expected)
    assert await balance(application) == 7


async def test_an_application_that_disposes_of_its_engine_still_writes_to_the_lab_only(explorer, application):
    class Disposes(Bank):
        watch = (application,)

        @actor
        async def alice(self) -> None:
            await application.dispose()
            async with application.begin() as connection:
                await connection.execute(add(1))

        @actor
        async def bob(self) -> None: ...

    record = await explorer.run(Disposes(), Order())
    assert record.outcome.rows["account"][0] == "(1,101)"
    assert await balance(application) == 7
    assert await replays(explorer, record)


async def test_an_engine_that_makes_its_own_connections_is_refused(explorer, home, server):
    made = []

    async def make(*args, **options):
        made.append(await asyncpg.connect(**{**server.connect, "database": "home"}))
        return made[-1]

    engine = create_async_engine("postgresql+asyncpg://", async_creator=make)
    with pytest.raises(ScenarioError, match="makes its connections by itself"):
        await explorer.run(of_its_own(engine), Order())
    for connection in made:
        connection.terminate()
    engine.sync_engine.pool = engine.sync_engine.pool.recreate()


async def test_an_engine_of_another_driver_is_refused(explorer, application, monkeypatch):
    monkeypatch.setattr(application.dialect, "driver", "psycopg")
    with pytest.raises(ScenarioError, match="the watched engine uses psycopg"):
        await explorer.run(of_its_own(application), Order())
