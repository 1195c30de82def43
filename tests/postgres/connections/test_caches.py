"""Each execution begins with caches as empty as the first one found them."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
import sqlalchemy
from helpers.kit import Account, Bank, Order
from sqlalchemy import event, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import actor, invariant
from lab.model.record import ExecutionRecord
from lab.scenario.declare import Scenario
from lab.schedulers import make_scheduler
from lab.search.hunt import Hunt

RUNS = 3
PREPARED = text("SELECT count(*) FROM pg_prepared_statements")
AFFECTED = tuple(map(int, sqlalchemy.__version__.split(".")[:3])) < (2, 0, 52)


async def hits(session: AsyncSession) -> list[str]:
    """Whether SQLAlchemy found a query, and what it flushes, compiled."""
    seen = []
    connection = (await session.connection()).sync_connection

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
        seen.append(context.cache_hit.name)

    event.listen(connection, "after_cursor_execute", note)
    account = await session.get(Account, 1)
    account.balance += 1
    await session.flush()
    await session.commit()
    return seen


async def values(explorer, scenario: Scenario, order: str) -> list[dict[str, Any]]:
    """What the actors of each of a few executions in this order returned."""
    records: list[ExecutionRecord] = [await explorer.run(scenario, Order(order)) for _ in range(RUNS)]
    return [{name: each.value for name, each in record.outcome.results.items()} for record in records]


COLD = {"alice": ["CACHE_MISS", "CACHE_MISS"], "bob": ["CACHE_HIT", "CACHE_HIT"]}
IN_TURN = "alice alice alice bob bob bob"


async def test_what_an_execution_compiled_is_compiled_again_in_the_next(explorer):
    class Own(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session: AsyncSession) -> list[str]:
            return await hits(session)

    assert await values(explorer, Own(), IN_TURN) == [COLD] * RUNS


@pytest.mark.parametrize("watched", [True, False])
async def test_the_engine_of_an_application_is_as_cold_in_each_execution(explorer, server, watched):
    engine = create_async_engine(f"postgresql+asyncpg://postgres@/postgres?host={server.folder / 's'}")
    factory = async_sessionmaker(engine)

    class Own(Bank):
        watch = (engine,) if watched else ()

        @actor(names=("alice", "bob"))
        async def work(self) -> list[str]:
            mine = engine.execution_options(isolation_level="READ COMMITTED")  # shares the cache
            async with factory(bind=mine) as session:
                return await hits(session)

    for each in await values(explorer, Own(), IN_TURN):
        # Who of the two connects first is not decided where the pool is cold, and no matter here.
        assert [sorted(one) for one in zip(each["alice"], each["bob"], strict=True)] == [
            ["CACHE_HIT", "CACHE_MISS"]
        ] * 2
    await engine.dispose()


async def test_no_statement_is_prepared_when_an_execution_begins(explorer):
    class Own(Bank):
        @actor
        async def alice(self, session: AsyncSession) -> tuple[int, int]:
            first = await session.scalar(PREPARED)
            await session.execute(select(Account))
            driver = (await (await session.connection()).get_raw_connection()).driver_connection
            await driver.fetch("SELECT 1")
            return first, await session.scalar(PREPARED)

        @actor
        async def bob(self, session: AsyncSession) -> None: ...

    first, *others = await values(explorer, Own(), "alice alice alice alice")
    assert first["alice"][0] == 1, "the question itself is prepared"
    assert others == [first] * (RUNS - 1)


async def test_a_statement_that_an_application_keeps_prepared_stays_so(explorer, server):
    kept: list[Any] = []

    class Own(Bank):
        @actor
        async def alice(self) -> int:
            if not kept:
                connection = await asyncpg.connect(host=str(server.folder / "s"), user="postgres")
                kept.extend((connection, await connection.prepare("SELECT balance FROM account WHERE id = $1")))
            await kept[0].fetch("SELECT 1")
            return await kept[1].fetchval(1)

        @actor
        async def bob(self, session: AsyncSession) -> None: ...

    scheduler = make_scheduler("random", 0)
    records = [await explorer.run(Own(), scheduler, execution=number) for number in range(RUNS)]
    assert [each.outcome.results["alice"].value for each in records] == [100] * RUNS


class Pairs(DeclarativeBase):
    """A table of its own."""


class Pair(Pairs):
    """A row whose columns stand in another order than they are asked for."""

    __tablename__ = "pair"
    id: Mapped[int] = mapped_column(primary_key=True)
    second: Mapped[int]
    first: Mapped[int]


class Returned(Scenario):
    """Each actor changes a row and reads what it changed, by column."""

    metadata = Pairs.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([Pair(id=number, first=number * 10, second=0) for number in (1, 2)])

    @actor(names=("1", "2"))
    async def change(self, session: AsyncSession, name: str) -> int:
        changed = update(Pair).where(Pair.id == int(name)).values(second=7)
        asked = changed.returning(Pair.id, Pair.first, Pair.second)
        row = (await session.execute(asked, execution_options={"synchronize_session": "fetch"})).mappings().one()
        await session.commit()
        return row[Pair.first]

    @invariant
    async def each_reads_the_column_that_it_asked_for(self, outcome) -> None:
        assert {name: each.value for name, each in outcome.results.items()} == {"1": 10, "2": 20}


@pytest.mark.skipif(not AFFECTED, reason="SQLAlchemy 2.0.52 mended it")
async def test_a_race_for_the_compiled_cache_is_found(explorer):
    """As SQLAlchemy had one until 2.0.51: who finds an UPDATE compiled before rows were read reads wrong columns."""
    result = await Hunt.of(Returned(), executions=50).run(explorer)
    assert [each.invariant for each in result.failures] == ["each reads the column that it asked for"]
    assert result.failures[0].identical == result.failures[0].replays
