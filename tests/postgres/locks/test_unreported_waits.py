"""Deadlocks of a role that may not have its waits reported: the victim is the same in every run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from helpers.kit import Bank, Order, add, told
from helpers.servers import Foreign, foreign_server, programs_of

from lab import actor
from lab.explore import Explorer
from lab.model.outcome import Ending
from lab.postgres.locks.waits import PostgresLockWaits
from lab.postgres.server.monitor import connect
from lab.postgres.server.server import external_server

VERSION = 15 if programs_of(15) else 16
NAMES = ("alice", "bob", "carol")
CHECKS = {"quick": 0.05, "usual": 0.4, "slow": 2.0, "patient": 60.0}


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    with foreign_server(programs_of(VERSION)) as server:
        server.sql(
            *(f"CREATE ROLE {name} LOGIN CREATEDB" for name in CHECKS),
            *(f"ALTER ROLE {name} SET deadlock_timeout = '{seconds}s'" for name, seconds in CHECKS.items()),
        )
        yield server


class Ring(Bank):
    """Each adds to its own account and then to the next one's."""

    @actor(names=NAMES)
    async def work(self, session, name) -> None:
        own = NAMES.index(name)
        await session.execute(add(own + 1))
        await session.execute(add((own + 1) % len(NAMES) + 1))
        await session.commit()


class Pair(Bank):
    """Two in a circle, and a third one that has much to do meanwhile."""

    @actor
    async def alice(self, session) -> None:
        await session.execute(add(1))
        await session.execute(add(2))

    @actor
    async def bob(self, session) -> None:
        await session.execute(add(2))
        await session.execute(add(1))

    @actor
    async def carol(self, session) -> None:
        for _ in range(10):
            await session.execute(add(3))
        await session.commit()


@pytest.mark.parametrize(
    ("role", "victim"), [("quick", "carol"), ("usual", "alice")], ids=["who closes it", "who waited first"]
)
async def test_the_victim_of_a_ring_is_certain(foreign, role, victim):
    """Checks that come sooner than two waits can be kept apart are over before the next wait begins."""
    explorer = Explorer(external_server(foreign.url(role)))
    order = Order("alice bob carol alice bob carol")
    told_of = set()
    for _ in range(5):
        record = await explorer.run(Ring(), order)
        assert record.outcome.ending is Ending.DEADLOCKED
        assert record.outcome.results[victim].sqlstate == "40P01"
        told_of.add(tuple(told(record.trace)))
    await explorer.aclose()
    (lines,) = told_of
    assert [line.endswith("(B)") for line in lines[3:6]] == [True] * 3


async def test_a_deadlock_is_found_before_others_go_on(foreign):
    explorer = Explorer(external_server(foreign.url("usual")))
    record = await explorer.run(Pair(), Order("alice bob carol alice bob"))
    await explorer.aclose()
    (after,) = record.trace.steps[5:6]
    assert {each.actor for each in after.alternatives} == set(NAMES)


async def test_waits_are_apart_and_no_decision_is_made_when_a_check_may_be_under_way(foreign):
    """One real wait, asked about when it is young, when its check is near, and when that is over."""
    async with one_wait(foreign, "slow") as seconds:
        assert await seconds() == 0.0
        assert 0.0 < await seconds(may_be_joined=True) <= 0.8
        assert 1.0 < await seconds(in_a_circle=True) <= 2.1
        await asyncio.sleep(1.1)
        assert 0.0 < await seconds() <= 1.0
        await asyncio.sleep(1.1)
        assert [await seconds(), await seconds(in_a_circle=True, may_be_joined=True)] == [0.0, 0.0]


async def test_a_check_after_a_minute_is_not_waited_for(foreign):
    async with one_wait(foreign, "patient") as seconds:
        assert await seconds(in_a_circle=True) == 0.0
        assert await seconds(may_be_joined=True) > 0.0


@contextlib.asynccontextmanager
async def one_wait(foreign: Foreign, role: str) -> AsyncIterator[Callable[..., Awaitable[float]]]:
    """A session of the role that waits for a lock, and the question about its check."""
    server = external_server(foreign.url(role))
    holder, waiter, monitor = [await connect(server, database="postgres") for _ in range(3)]
    waits = PostgresLockWaits(monitor, reports=False, frozen=False, apart=0.8)
    pids = [waiter.get_server_pid()]

    async def seconds(*, in_a_circle: bool = False, may_be_joined: bool = False) -> float:
        return await waits.seconds_to_checks(pids, in_a_circle=in_a_circle, may_be_joined=may_be_joined)

    try:
        await holder.execute("SELECT pg_advisory_lock(1)")
        waiting = asyncio.create_task(waiter.execute("SELECT pg_advisory_lock(1)"))
        while not await waits.unreported(pids):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0)
        yield seconds
        await holder.execute("SELECT pg_advisory_unlock(1)")
        await waiting
    finally:
        for connection in (holder, waiter, monitor):
            connection.terminate()
