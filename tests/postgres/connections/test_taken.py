"""What actors leave behind is found at the end, with the line that opened it; what they gave back is no finding."""

from __future__ import annotations

import gc
import inspect

import asyncpg
import pytest
from helpers.kit import Account, Bank, Order, add, replays
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from lab import actor, point
from lab.report.failure import execution_report

ADDRESS = "postgresql://nobody@nowhere.invalid/none"
ONE = select(Account.balance).where(Account.id == 1)
ENGINE = create_async_engine("postgresql+asyncpg://nobody@nowhere.invalid/none", pool_size=3, max_overflow=0)


class Alone(Bank):
    """Bob has nothing to do; what alice does is `work`."""

    @actor
    async def alice(self, engine, sessions) -> None:
        await self.work(engine, sessions)

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await session.execute(ONE)


class SessionLeft(Alone):
    async def work(self, engine, sessions) -> None:
        session = sessions()
        await session.scalar(ONE)


class LeftOnPurpose(SessionLeft):
    allows = ("leak",)


class SessionRolledBackThenUsed(Alone):
    async def work(self, engine, sessions) -> None:
        session = sessions()
        await session.execute(add(1))
        await session.rollback()
        await session.execute(ONE)


class SessionCollected(Alone):
    """Nobody refers to it any more."""

    async def work(self, engine, sessions) -> None:
        await sessions().scalar(ONE)
        gc.collect()


class ConnectionLeft(Alone):
    async def work(self, engine, sessions) -> None:
        connection = await engine.connect()
        await connection.execute(ONE)
        await connection.rollback()


class OfItsOwnPool(Alone):
    async def work(self, engine, sessions) -> None:
        session = AsyncSession(ENGINE)
        await session.execute(ONE)


class OfAPoolOfTheDriver(Alone):
    async def work(self, engine, sessions) -> None:
        pool = await asyncpg.create_pool(ADDRESS, min_size=0, max_size=1)
        connection = await pool.acquire()
        await connection.fetchval("SELECT 1")


class TransactionOfTheDriver(Alone):
    async def work(self, engine, sessions) -> None:
        driver = await asyncpg.connect(ADDRESS)
        await driver.execute("BEGIN")


class LockLeft(Alone):
    async def work(self, engine, sessions) -> None:
        async with sessions() as session:
            await session.execute(select(func.pg_advisory_lock(1, 2)))
            await session.execute(select(func.pg_try_advisory_lock_shared(5)))
            await session.commit()


class LockLeftByAFunction(Alone):
    """No statement of an actor names the lock."""

    async def setup(self, session) -> None:
        await super().setup(session)
        body = "SELECT pg_advisory_lock(9)"
        await session.execute(text(f"CREATE FUNCTION guarded() RETURNS void LANGUAGE sql AS '{body}'"))

    async def work(self, engine, sessions) -> None:
        async with sessions.begin() as session:
            await session.execute(text("SELECT guarded()"))


OUT = "a connection stays checked out of"
LEFT = {
    SessionLeft: f"alice never closed a session; {OUT} its pool, with its transaction open",
    SessionRolledBackThenUsed: f"alice never closed a session; {OUT} its pool, with its transaction open",
    SessionCollected: f"alice never closed a session; {OUT} its pool, with its transaction open",
    ConnectionLeft: f"alice never closed a connection; {OUT} its pool",
    OfItsOwnPool: f"alice never closed a session; {OUT} AsyncAdaptedQueuePool (size 3), with its transaction open",
    OfAPoolOfTheDriver: f"alice never closed a connection; {OUT} asyncpg.Pool",
    TransactionOfTheDriver: "alice ended while a transaction is open on a connection of its own",
    LockLeftByAFunction: "alice never released advisory lock 9; its session is handed on with it",
    LockLeft: "alice never released advisory lock 5 and advisory lock (1, 2); its session is handed on with it",
}


@pytest.mark.parametrize("left", LEFT, ids=lambda cls: cls.__name__)
async def test_what_is_left_is_a_violation_and_the_next_execution_begins_without_it(plain, left):
    """Each time the same, whatever the execution before left."""
    record = await plain.run(left(), Order())
    assert [(each.checker, each.message) for each in record.findings] == [("leak", LEFT[left])]
    assert await replays(plain, record)
    again = await plain.run(left(), Order())
    assert (again.findings, again.leaks) == (record.findings, record.leaks)
    if left not in (OfAPoolOfTheDriver, TransactionOfTheDriver, LockLeft, LockLeftByAFunction):
        lines, first = inspect.getsourcelines(left.work)
        opened, used = (
            next(first + number for number, line in enumerate(lines) if mark in line) for mark in marks_of(left)
        )
        assert record.leaks[0].opened == f"{__file__}:{opened}"
        assert record.leaks[0].used == f"{__file__}:{used}"
        assert f"test_taken.py:{opened}" in execution_report(record).partition("Why")[2]


def marks_of(left: type[Alone]) -> tuple[str, str]:
    """What stands in the line that opens it, and in the line that takes the connection last."""
    if left is ConnectionLeft:
        return "engine.connect()", "engine.connect()"
    if left is SessionCollected:
        return "sessions()", "sessions()"
    return ("AsyncSession(" if left is OfItsOwnPool else "= sessions()"), "(ONE)"


class Committed(Alone):
    """Never closed, but the commit gives the connection back."""

    async def work(self, engine, sessions) -> None:
        session = sessions()
        await session.execute(add(1))
        await session.commit()


class ClosedInTheEnd(Alone):
    async def work(self, engine, sessions) -> None:
        session, connection = sessions(), await engine.connect()
        await session.execute(add(1))
        await connection.execute(ONE)
        await connection.close()
        await session.close()


class ClosedByAGenerator(Alone):
    """As a dependency that yields a session."""

    async def work(self, engine, sessions) -> None:
        async def given():
            async with sessions() as session:
                yield session

        async for session in given():
            await session.execute(add(1))
            return


class Invalidated(Alone):
    async def work(self, engine, sessions) -> None:
        session = sessions()
        await session.execute(add(1))
        await session.invalidate()


class LockReleased(Alone):
    async def work(self, engine, sessions) -> None:
        async with sessions() as session:
            await session.execute(select(func.pg_advisory_lock(1)))
            await session.execute(select(func.pg_advisory_unlock(1)))
            await session.execute(select(func.pg_advisory_xact_lock(2)))
            await session.commit()


class PoolOfTheDriver(Alone):
    async def work(self, engine, sessions) -> None:
        async with asyncpg.create_pool(ADDRESS, min_size=0, max_size=1) as pool, pool.acquire() as connection:
            await connection.execute("BEGIN")
            await connection.execute("ROLLBACK")


RIGHT = (Committed, ClosedInTheEnd, ClosedByAGenerator, Invalidated, LockReleased, PoolOfTheDriver)


@pytest.mark.parametrize("right", RIGHT, ids=lambda cls: cls.__name__)
async def test_what_is_given_back_is_no_violation(plain, right):
    record = await plain.run(right(), Order())
    assert (record.findings, record.leaks) == ((), ())


class ClosedAtTheEnd(Alone):
    """Only where it comes to that line."""

    async def work(self, engine, sessions) -> None:
        session = sessions()
        await session.execute(ONE)
        await point("meanwhile")
        await session.close()


class ClosedByWith(Alone):
    async def work(self, engine, sessions) -> None:
        async with sessions() as session:
            await session.execute(ONE)
            await point("meanwhile")


class StatementCancelled(Alone):
    """SQLAlchemy closes a connection whose statement is cancelled."""

    async def work(self, engine, sessions) -> None:
        session = sessions()
        await session.execute(ONE)
        await session.execute(add(1))
        await session.close()


@pytest.mark.parametrize("scenario", [ClosedAtTheEnd, ClosedByWith, StatementCancelled])
async def test_an_actor_that_is_cancelled_leaves_what_it_does_not_close(plain, scenario):
    record = await plain.run(scenario(), Order("alice cancel@alice"), added_faults=("cancel",))
    assert [each.checker for each in record.findings] == ["leak"] * (scenario is ClosedAtTheEnd)


@pytest.mark.parametrize("fault", ["kill", "disconnect"])
async def test_a_connection_that_a_fault_ended_is_none_that_is_left(plain, fault):
    record = await plain.run(ClosedAtTheEnd(), Order(f"alice {fault}@alice"), added_faults=(fault,))
    assert record.leaks == ()


async def test_what_is_meant_to_stay_is_seen_and_no_violation(plain):
    record = await plain.run(LeftOnPurpose(), Order())
    assert [each.actor for each in record.leaks] == ["alice"]
    assert record.findings == ()
