"""Deadlocks: found at once, the actor that closes the cycle is the victim, and the cycle is told whole."""

from __future__ import annotations

import pytest
from helpers.kit import Bank, Order, add, lock, replays, told
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import lab
from lab import actor
from lab.model.outcome import Ending, ResultKind

NAMES = ("alice", "bob", "carol", "dave")


def ring(size: int):
    """Each locks his own account and then the next one's."""

    class Ring(Bank):
        @actor(names=NAMES[:size])
        async def work(self, session, name) -> None:
            own = NAMES.index(name)
            await session.execute(add(own + 1))
            await session.execute(add((own + 1) % size + 1))
            await session.commit()

    return Ring()


@pytest.mark.parametrize("size", [2, 3, 4])
async def test_the_actor_that_closes_a_ring_is_the_victim_whoever_it_is(explorer, size):
    names = NAMES[:size]
    for closer in names:
        waiters = [name for name in names if name != closer]
        order = " ".join([*names, *waiters, closer])
        record = await explorer.run(ring(size), Order(order))
        assert record.outcome.ending is Ending.DEADLOCKED
        assert record.outcome.results[closer].sqlstate == "40P01"
        assert record.outcome.results[closer].kind is ResultKind.ABORTED
        assert record.outcome.committed == tuple(waiters)
        assert not record.failed
        assert await replays(explorer, record, times=2)


async def test_the_cycle_names_every_edge_with_its_statement(explorer):
    record = await explorer.run(ring(3), Order("alice bob carol alice bob carol"))
    (cycle,) = record.deadlocks
    assert {(edge.waiter, edge.holder) for edge in cycle} == {("alice", "bob"), ("bob", "carol"), ("carol", "alice")}
    for edge in cycle:
        account = {"alice": 2, "bob": 3, "carol": 1}[edge.waiter]
        assert edge.sql == add(account).text
        assert (edge.mode, edge.target) == ("ShareLock", "transaction")


async def test_a_cycle_tells_tables_and_advisory_locks_by_name(explorer):
    class Mixed(Bank):
        @actor
        async def alice(self, session) -> None:
            await session.execute(text("SELECT pg_advisory_xact_lock(7)"))
            await session.execute(text("LOCK TABLE account"))

        @actor
        async def bob(self, session) -> None:
            await session.execute(text("LOCK TABLE account"))
            await session.execute(text("SELECT pg_advisory_xact_lock(7)"))

    record = await explorer.run(Mixed(), Order("alice bob alice bob"))
    (cycle,) = record.deadlocks
    assert {(edge.waiter, edge.target) for edge in cycle} == {("alice", "table account"), ("bob", "advisory lock 7")}
    detail = record.outcome.results["bob"].detail
    assert "bob waits for ExclusiveLock on advisory lock 7; blocked by alice" in detail
    assert await replays(explorer, record)


async def test_an_upgrade_of_a_shared_lock_by_two_is_a_deadlock(explorer):
    class Upgrade(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            await session.execute(lock(1, "SHARE"))
            await session.execute(add(1))
            await session.commit()

    record = await explorer.run(Upgrade(), Order("alice bob alice bob"))
    assert record.outcome.results["bob"].sqlstate == "40P01"
    assert record.outcome.committed == ("alice",)
    assert await replays(explorer, record, times=5)


async def test_an_upgrade_of_a_table_lock_by_two_is_found_at_once(explorer):
    class Upgrade(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            await session.execute(text("LOCK TABLE account IN SHARE MODE"))
            await session.execute(text("LOCK TABLE account IN EXCLUSIVE MODE"))
            await session.commit()

    record = await explorer.run(Upgrade(), Order("alice bob alice bob"))
    assert record.outcome.results["bob"].sqlstate == "40P01"
    assert await replays(explorer, record, times=5)


async def test_a_victim_that_tries_again_leaves_its_deadlock_in_the_record(explorer):
    class Retries(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session, name) -> str:
            first, second = (1, 2) if name == "alice" else (2, 1)
            for attempt in (1, 2):
                try:
                    await session.execute(add(first))
                    await session.execute(add(second))
                    await session.commit()
                except DBAPIError:
                    await session.rollback()
                    await lab.point("again")
                else:
                    return f"attempt {attempt}"
            return "gave up"

    record = await explorer.run(Retries(), Order("alice bob alice bob bob alice alice"))
    assert [result.value for result in record.outcome.results.values()] == ["attempt 1", "attempt 2"]
    assert len(record.deadlocks) == 1
    assert record.outcome.rows["account"][:2] == ("(1,102)", "(2,102)")
    assert await replays(explorer, record, times=5)


async def test_a_deadlock_inside_a_savepoint_spares_the_transaction_outside(explorer):
    class Saves(Bank):
        @actor
        async def alice(self, session) -> None:
            await session.execute(add(1))
            await session.execute(add(2))
            await session.commit()

        @actor
        async def bob(self, session) -> str:
            await session.execute(add(3))
            try:
                async with session.begin_nested():
                    await session.execute(add(2))
                    await session.execute(add(1))
            except DBAPIError:
                await session.commit()
                return "spared"
            return "through"

    record = await explorer.run(Saves(), Order("alice bob bob bob alice bob"))
    assert record.outcome.results["bob"].value == "spared"
    assert any(line.startswith("bob ROLLBACK TO") for line in told(record.trace))
    assert record.outcome.rows["account"][:3] == ("(1,101)", "(2,101)", "(3,101)")
