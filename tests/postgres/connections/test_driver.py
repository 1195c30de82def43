"""Statements that an actor gives to asyncpg itself, under a session or on a connection of its own."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from helpers.kit import Bank, Order, add, of, replays, told
from sqlalchemy import text

from lab import actor, invariant
from lab.errors import ScenarioError
from lab.model.history import Write

READ, WRITE = "SELECT balance FROM account WHERE id = 1", "UPDATE account SET balance = $1 WHERE id = 1"


async def _driver(session):
    return (await (await session.connection()).get_raw_connection()).driver_connection


class Under(Bank):
    """Each takes one through the driver's connection under its session."""

    lock = ""

    @actor(names=("alice", "bob"))
    async def take(self, session) -> None:
        await session.execute(add(2))
        await session.commit()
        driver = await _driver(session)
        async with driver.transaction():
            balance = await driver.fetchval(READ + self.lock)
            await driver.execute(WRITE, balance - 1)

    @invariant
    async def two_are_taken(self, session) -> None:
        assert await session.scalar(text(READ)) == 98


class Locked(Under):
    lock = " FOR UPDATE"


OVERLAP = "alice alice alice bob bob bob"


async def test_a_lost_update_through_the_driver_is_found_and_replays(explorer):
    record = await explorer.run(Under(), Order(OVERLAP))
    assert {finding.name for finding in record.findings} == {"two are taken"}
    assert told(record.trace)[2] == f"alice {READ}"
    assert await replays(explorer, record, 20)


async def test_its_right_variant_waits_for_the_lock(explorer):
    record = await explorer.run(Locked(), Order(OVERLAP))
    assert not record.failed
    assert told(record.trace)[5] == f"bob {READ} FOR UPDATE (B)"


async def test_every_call_of_the_driver_is_one_step(explorer):
    class All(Bank):
        @actor
        async def alice(self, connection) -> None:
            driver = (await connection.get_raw_connection()).driver_connection
            await driver.execute("SELECT 1")
            await driver.fetch("SELECT 2 WHERE $1::int = 1", 1)
            await driver.fetchrow("SELECT 3")
            await driver.executemany("UPDATE account SET balance = $1 WHERE id = $2", [(1, 1), (2, 2)])
            await driver.copy_records_to_table("account", records=[(5, 5)], columns=["id", "balance"])
            statement = await driver.prepare("SELECT 4")
            await statement.fetchval()
            await statement.fetchval()
            async with driver.transaction():
                async with driver.transaction():
                    await driver.execute("SELECT 5")
                async for _ in driver.cursor("SELECT 6"):
                    pass

        @actor
        async def bob(self) -> None: ...

    record = await explorer.run(All(), Order())
    steps = of(record, "alice")
    assert not record.failed, record.findings
    assert steps == [
        "SELECT 1",
        "SELECT 2 WHERE $1::int = 1",
        "SELECT 3",
        "UPDATE account SET balance = $1 WHERE id = $2",
        'COPY "account"("id", "balance") FROM STDIN (FORMAT binary)',
        "SELECT 4",
        "SELECT 4",
        "SAVEPOINT savepoint_1",
        "SELECT 5",
        "RELEASE savepoint_1",
        "SELECT 6",
        "COMMIT",
    ]
    assert await replays(explorer, record)


class Released(Bank):
    """Alice waits in the process, for a task of her own or for bob, and then goes on with the driver."""

    way = ""

    async def setup(self, session) -> None:
        await super().setup(session)
        self.go.clear()

    go = asyncio.Event()

    @actor
    async def alice(self, connection) -> None:
        driver = (await connection.get_raw_connection()).driver_connection
        await (asyncio.create_task(asyncio.sleep(1)) if self.way == "task" else self.go.wait())
        await driver.execute("SELECT 1")
        await driver.fetch("SELECT $1::int", 2)

    @actor
    async def bob(self, session) -> None:
        await session.execute(add(2))
        self.go.set()
        await session.commit()


@pytest.mark.parametrize("way", ["task", "event"])
async def test_what_follows_a_wait_in_the_process_is_a_step_as_well(explorer, way):
    record = await explorer.run(type("Way", (Released,), {"way": way})(), Order())
    assert of(record, "alice") == ["SELECT 1", "SELECT $1::int"]
    assert await replays(explorer, record)


async def test_what_the_driver_writes_is_in_the_history(explorer):
    record = await explorer.run(Under(), Order(OVERLAP), recorded=True)
    assert record.history is not None
    written = [w.text for each in record.history.transactions for w in each.operations if isinstance(w, Write)]
    assert "99" in written
    assert record.unseen == ()
    assert record.anomalies == ("P4",)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [("an engine", "it is a tuple of engines"), (("a factory",), "watches a str, which is no engine")],
)
async def test_a_wrong_watch_is_refused_in_a_sentence(explorer, wrong, sentence):
    class Wrong(Bank):
        watch = wrong

        @actor(names=("alice", "bob"))
        async def work(self) -> None: ...

    with pytest.raises(ScenarioError, match=sentence):
        await explorer.run(Wrong(), Order())


async def test_calls_of_a_pool_in_tasks_are_actors_of_their_own(explorer):
    class Gathers(Bank):
        @actor
        async def alice(self) -> int:
            async with asyncpg.create_pool("postgresql://nobody@nowhere.invalid/none", min_size=2) as pool:
                await asyncio.gather(pool.execute(WRITE, 1), pool.execute(WRITE, 2))
                return await asyncio.wait_for(pool.fetchval(READ), 5)

        @actor
        async def bob(self) -> None: ...

    for order, left in (("alice/1 alice/2", 2), ("alice/2 alice/1", 1)):
        record = await explorer.run(Gathers(), Order(order))
        assert record.outcome.results["alice"].value == left, told(record.trace)
        assert await replays(explorer, record)
