"""Notifications: they come when the schedule has brought them about, and whoever waits for one is not stalled."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import asyncpg
import pytest
from helpers.kit import Bank, Order, add, of, replays, told
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from lab import actor
from lab.model.outcome import Ending
from lab.schedulers.random_walk import RandomWalk

ADDRESS = "postgresql://nobody@nowhere.invalid/none"


class Waits(Bank):
    """The worker looks whether the money is there, and waits for a notification if it is not."""

    allows = ("leak",)  # its connection listens for good
    opened = "engine"
    notify = "NOTIFY money"
    kept: ClassVar[list[AsyncConnection]] = []
    """SQLAlchemy ends a connection that nobody holds."""

    async def listening(self, engine, callback):
        if self.opened == "engine":
            self.kept.append(await engine.connect())
            driver = (await self.kept[-1].get_raw_connection()).driver_connection
        elif self.opened == "connect":
            driver = await asyncpg.connect(ADDRESS)
        else:
            pool = await asyncpg.create_pool(ADDRESS, min_size=1, max_size=2)
            driver = await pool.acquire()
        await driver.add_listener("money", callback)
        return driver

    @actor
    async def worker(self, engine) -> int:
        woken = asyncio.Event()
        driver = await self.listening(engine, lambda *_: woken.set())
        if await driver.fetchval("SELECT balance FROM account WHERE id = 1") == 100:
            await woken.wait()
        return await driver.fetchval("SELECT balance FROM account WHERE id = 1")

    @actor
    async def producer(self, session) -> None:
        await session.execute(add(1))
        await session.execute(text(self.notify))
        await session.commit()


class ByConnect(Waits):
    opened = "connect"


class ByPool(Waits):
    opened = "pool"


class ByTrigger(Waits):
    notify = "SELECT 1"

    async def setup(self, session) -> None:
        await super().setup(session)
        await session.execute(
            text(
                "CREATE OR REPLACE FUNCTION said() RETURNS trigger AS $$ BEGIN "
                "PERFORM pg_notify('money', 'more'); RETURN NULL; END $$ LANGUAGE plpgsql"
            )
        )
        await session.execute(text("CREATE TRIGGER says AFTER UPDATE ON account EXECUTE FUNCTION said()"))


@pytest.mark.parametrize("kind", [Waits, ByConnect, ByPool, ByTrigger])
async def test_a_listener_is_never_stalled_while_its_notification_is_under_way(explorer, kind):
    scheduler = RandomWalk(seed=1)
    for number in range(12):
        record = await explorer.run(kind(), scheduler, execution=number)
        assert (record.outcome.ending, record.findings) == (Ending.COMPLETED, ()), told(record.trace)
        assert record.outcome.results["worker"].text == "101"
        assert await replays(explorer, record, 1)


async def test_a_worker_is_woken_for_each_item_at_the_same_step_each_time(explorer):
    class Queue(Bank):
        @actor
        async def worker(self, engine, session) -> list[str]:
            items, done = asyncio.Queue(), []
            async with engine.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                await driver.add_listener("items", lambda *given: items.put_nowait(given[-1]))
                while len(done) < 4:
                    done.append(await items.get())
                    await session.execute(add(3))
                    await session.commit()
            return done

        @actor(names=("one", "two"))
        async def send(self, session, name) -> None:
            for number in range(2):
                await session.execute(text(f"NOTIFY items, '{name}{number}'"))
                await session.execute(add(2))
                await session.commit()

    for order in ("worker one two", "worker one one two", "worker two one one one one one two"):
        record = await explorer.run(Queue(), Order(order))
        assert record.outcome.ending is Ending.COMPLETED, record.findings
        assert await replays(explorer, record, 6), told(record.trace)


async def test_what_an_asynchronous_listener_does_is_done_by_a_task_of_its_actor(explorer):
    class Reacts(Bank):
        @actor
        async def worker(self, sessions, engine) -> None:
            done = asyncio.Event()

            async def react(*_) -> None:
                async with sessions() as session:
                    await session.execute(add(4))
                    await session.commit()
                done.set()

            async with engine.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                await driver.add_listener("money", react)
                await done.wait()

        @actor
        async def producer(self, connection) -> None:
            await connection.execute(text("NOTIFY money"))
            await connection.commit()

    record = await explorer.run(Reacts(), Order("worker producer"))
    assert record.outcome.rows["account"][-1] == "(4,101)"
    assert of(record, "worker/1") == ["UPDATE account SET balance = balance + 1 WHERE id = 4", "COMMIT"]
    assert await replays(explorer, record, 6)


async def test_a_listener_within_a_transaction_hears_at_its_end_as_from_the_server(explorer):
    class Inside(Bank):
        @actor
        async def worker(self) -> list[int]:
            heard, seen = [], []
            driver = await asyncpg.connect(ADDRESS)
            await driver.add_listener("money", lambda *_: heard.append(1))
            async with driver.transaction():
                await driver.execute("SELECT 1")
                await driver.execute("SELECT 2")
                seen.append(len(heard))
            seen.append(len(heard))
            return seen

        @actor
        async def producer(self, connection) -> None:
            await connection.execute(text("NOTIFY money"))
            await connection.commit()

    record = await explorer.run(Inside(), Order("worker worker producer producer"))
    assert record.outcome.results["worker"].text == "[0, 1]"
    assert await replays(explorer, record, 6)


async def test_who_waits_for_a_notification_that_nobody_sends_is_stalled(explorer):
    class Never(Waits):
        notify = "SELECT 1"

    record = await explorer.run(Never(), Order("worker worker"))
    assert record.outcome.ending is Ending.STALLED
    assert record.stalls[0].place.endswith("await woken.wait()")
    assert await replays(explorer, record)


async def test_who_listened_in_the_execution_before_has_to_listen_again(explorer):
    class Listens(Bank):
        @actor
        async def worker(self, engine) -> int:
            heard: list[int] = []
            async with engine.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                await driver.add_listener("money", lambda *_: heard.append(1))
                await driver.execute("NOTIFY money")
            return len(heard)

        @actor
        async def other(self) -> None: ...

    for _ in range(3):
        record = await explorer.run(Listens(), Order())
        assert of(record, "worker") == ['LISTEN "money"', "NOTIFY money"]
        assert record.outcome.results["worker"].text == "1"
