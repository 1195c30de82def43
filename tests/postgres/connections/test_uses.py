"""One session or connection in two tasks at the same time is a finding of its own; one after the other is none."""

from __future__ import annotations

import asyncio

import anyio
import asyncpg
import pytest
from helpers.kit import Account, Bank, Order, add, replays
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor, invariant

ADDRESS = "postgresql://nobody@nowhere.invalid/none"
ONE = select(Account.balance).where(Account.id == 1)


class Both(Bank):
    """Bob has nothing to do; what alice does in two tasks is `work`."""

    @actor
    async def alice(self, engine, sessions) -> None:
        async with sessions() as session:
            await self.work(engine, session)

    @actor
    async def bob(self) -> None: ...


class Gathered(Both):
    async def work(self, engine, session) -> None:
        await asyncio.gather(session.scalar(ONE), session.get(Account, 2))


class WrittenAtOnce(Both):
    async def work(self, engine, session) -> None:
        session.add(Account(id=7, balance=1))
        async with asyncio.TaskGroup() as group:
            group.create_task(session.flush())
            group.create_task(session.commit())


class CommittedMeanwhile(Both):
    async def work(self, engine, session) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(session.execute, add(1))
            group.start_soon(session.commit)


class OneConnection(Both):
    async def work(self, engine, session) -> None:
        async with engine.connect() as connection:
            await asyncio.gather(connection.execute(ONE), connection.execute(text("SELECT 2")))


class ConnectionOfSession(Both):
    async def work(self, engine, session) -> None:
        connection = await session.connection()
        await asyncio.gather(session.scalar(ONE), connection.execute(text("SELECT 2")))


class RawConnection(Both):
    async def work(self, engine, session) -> None:
        driver = await asyncpg.connect(ADDRESS)
        await asyncio.gather(driver.fetchval("SELECT 1"), driver.execute("SELECT 2"))


class InTransaction(Both):
    async def work(self, engine, session) -> None:
        async with session.begin():
            await asyncio.gather(session.run_sync(lambda one: one.scalar(ONE)), session.scalar(ONE))


WRONG = (Gathered, WrittenAtOnce, CommittedMeanwhile, OneConnection, ConnectionOfSession, RawConnection, InTransaction)


@pytest.mark.parametrize("kind", WRONG)
async def test_two_tasks_at_once_are_found_with_both_lines(explorer, kind):
    record = await explorer.run(kind(), Order())
    assert [finding.checker for finding in record.findings] == ["sharing"], record.findings
    (found,) = record.sharings
    assert {found.first, found.second} == {"alice/1", "alice/2"}
    for place in (found.first_place, found.second_place):
        assert place.startswith(f"{__file__}:"), place
    assert await replays(explorer, record)


async def test_what_is_used_is_named(explorer):
    named = {
        kind: (await explorer.run(kind(), Order())).sharings[0].what
        for kind in (Gathered, OneConnection, RawConnection)
    }
    assert named == {Gathered: "AsyncSession", OneConnection: "AsyncConnection", RawConnection: "asyncpg connection"}


async def test_two_actors_that_share_a_session_of_a_module_are_found(explorer):
    class Module(Bank):
        @actor(names=("alice", "bob"))
        async def read(self, engine) -> None:
            session = shared.setdefault("session", AsyncSession(engine))
            await session.scalar(ONE)
            done.append(1)
            if len(done) == 2:
                await session.close()

        @invariant
        async def nothing(self, session) -> None:
            """Without one, the execution would be held against serial runs, which share the session as well."""

    shared: dict[str, AsyncSession] = {}
    done: list[int] = []
    record = await explorer.run(Module(), Order())
    (found,) = record.sharings
    assert {found.first, found.second} == {"alice", "bob"}
    assert "await session.scalar(ONE)" in found.first_place


class HandedOver(Both):
    async def work(self, engine, session) -> None:
        for _ in range(2):
            await asyncio.create_task(session.execute(add(1)))
        await session.commit()


class OneEach(Both):
    async def work(self, engine, session) -> None:
        async def one() -> None:
            async with AsyncSession(engine) as own:
                await own.execute(add(1))
                await own.commit()

        await asyncio.gather(one(), one())


class Guarded(Both):
    async def work(self, engine, session) -> None:
        async def one() -> None:
            async with guard:
                await session.execute(add(1))
                await asyncio.sleep(0)
                await session.commit()

        guard = asyncio.Lock()
        await asyncio.gather(one(), one())


class Streamed(Both):
    async def work(self, engine, session) -> None:
        async for _ in await session.stream_scalars(select(Account.id)):
            await asyncio.sleep(0)
        await session.run_sync(lambda one: one.scalar(ONE))
        async with session.begin_nested():
            await session.execute(add(1))
        await session.rollback()


class TakenOver(Both):
    """What is cancelled in the middle of a statement is used no more."""

    async def work(self, engine, session) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.execute(text("SELECT pg_sleep(0)")), 0)
        task = asyncio.create_task(session.execute(add(1)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await session.rollback()
        await session.execute(add(1))
        await session.commit()


@pytest.mark.parametrize("kind", [HandedOver, OneEach, Guarded, Streamed, TakenOver])
async def test_one_after_the_other_is_no_finding(explorer, kind):
    record = await explorer.run(kind(), Order())
    assert not record.findings
