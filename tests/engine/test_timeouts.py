"""Sleeps and timeouts of actors: no real time passes, and that a timeout fires is a decision."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from helpers.decided import said
from helpers.kit import Bank, Order, add, lock
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, insert, select, text, update
from sqlalchemy.ext.asyncio import create_async_engine

import lab
from lab import Scenario, actor, invariant
from lab.errors import ScenarioError
from lab.model.decision import Strike
from lab.model.outcome import Ending, ResultKind
from lab.model.replay_token import decode, encode, scenario_of, token_for
from lab.report.failure import execution_report
from lab.schedulers import make_scheduler
from lab.schedulers.replay import Replay
from lab.shrink.minimise import minimise

METADATA = MetaData()
LEASE = Table("lease", METADATA, Column("id", Integer, primary_key=True), Column("until", DateTime(timezone=True)))
COUNTER = Table("counter", METADATA, Column("id", Integer, primary_key=True), Column("n", Integer))
REPLAYS = 20


class Lease(Scenario):
    """A worker takes a lease of 30 s, works, and counts its work."""

    metadata = METADATA
    works = 60

    async def setup(self, session) -> None:
        await session.execute(insert(LEASE).values(id=1, until=None))
        await session.execute(insert(COUNTER).values(id=1, n=0))

    @actor(names=("a", "b"))
    async def work(self, session, name) -> str:
        until = await session.scalar(select(LEASE.c.until).where(LEASE.c.id == 1).with_for_update())
        if until is not None and until > datetime.now(UTC):
            return "busy"
        until = datetime.now(UTC) + timedelta(seconds=30)
        await session.execute(update(LEASE).where(LEASE.c.id == 1).values(until=until))
        await session.commit()
        if name == "a":
            await asyncio.sleep(self.works)
        return "done" if await self.count(session, until) else "too late"

    async def count(self, session, until) -> bool:
        await session.execute(update(COUNTER).where(COUNTER.c.id == 1).values(n=COUNTER.c.n + 1))
        await session.commit()
        return True

    @invariant
    async def one_at_a_time(self, outcome) -> None:
        assert [each.value for each in outcome.results.values()].count("done") <= 1


class Fenced(Lease):
    """It counts only while the lease is its own."""

    async def count(self, session, until) -> bool:
        mine = await session.scalar(select(LEASE.c.until).where(LEASE.c.id == 1).with_for_update())
        return mine == until and await super().count(session, until)

    @invariant
    async def one_at_a_time(self, session, outcome) -> None:
        done = [each.value for each in outcome.results.values()].count("done")
        assert await session.scalar(select(COUNTER.c.n)) == done


async def test_a_lease_that_expires_while_its_owner_sleeps_is_found_and_no_real_time_passes(explorer):
    before, scheduler = time.monotonic(), make_scheduler("portfolio", 0)
    for number in range(20):
        record = await explorer.run(Lease(), scheduler, execution=number)
        if record.failed:
            break
    assert record.failed
    assert time.monotonic() - before < 30
    again = await explorer.run(Lease(), Replay(record.schedule))
    assert (again.trace, again.outcome) == (record.trace, record.outcome)
    assert "until" not in record.outcome.uncontrolled


async def test_a_lease_with_a_fence_passes(explorer):
    scheduler = make_scheduler("random", 1)
    for number in range(60):
        assert not (await explorer.run(Fenced(), scheduler, execution=number)).failed


class Renews(Scenario):
    """Each extends a lease of its own: right, in any order."""

    metadata = METADATA

    async def setup(self, session) -> None:
        await session.execute(insert(LEASE), [{"id": 1}, {"id": 2}])

    @actor(names=("alice", "bob"))
    async def renew(self, session, name) -> str:
        await session.execute(select(LEASE.c.id))
        until = datetime.now(UTC) + timedelta(minutes=5)
        await session.execute(update(LEASE).where(LEASE.c.id == len(name) - 2).values(until=until))
        await session.commit()
        if name == "bob":
            await asyncio.sleep(1.5)
        return f"{until:%Y-%m-%d %H:%M:%S.%f}"


async def test_a_right_program_that_writes_times_is_equal_to_a_serial_run(explorer):
    scheduler = make_scheduler("random", 1)
    for number in range(40):
        record = await explorer.run(Renews(), scheduler, execution=number, checks=("serial",))
        assert not record.findings, record.findings


class Idle(Bank):
    @actor
    async def idle(self) -> None: ...


class Times(Bank):
    """Alice gives up on what bob holds after 30 s. Bob lets go at the end of three steps."""

    async def give_up(self, session) -> None:
        raise NotImplementedError

    @actor
    async def alice(self, session) -> str:
        await session.execute(text("SELECT 1"))
        await self.give_up(session)
        await session.commit()
        return "in time"

    @actor
    async def bob(self, session) -> None:
        await session.execute(lock(1))
        await lab.point("holds")
        await session.commit()


class Within(Times):
    async def give_up(self, session) -> None:
        async with asyncio.timeout(30):
            await session.execute(add(1))


class WaitsFor(Times):
    async def give_up(self, session) -> None:
        await asyncio.wait_for(session.execute(add(1)), 30)


class FailsAfter(Times):
    async def give_up(self, session) -> None:
        with anyio.fail_after(30):
            await session.execute(add(1))


class SleepsTooLong(Times):
    async def give_up(self, session) -> None:
        async with asyncio.timeout(30):
            await asyncio.sleep(60)


WITHIN = "alice bob alice time@alice"
WAITS = "alice bob time@alice"
"""The statement is a task's, which has not begun when the time has come."""

KINDS = (Within, WaitsFor, FailsAfter)


@pytest.mark.parametrize("cls", KINDS)
async def test_a_timeout_fires_by_decision_and_replays(explorer, cls):
    before = time.monotonic()
    found = await explorer.run(cls(), Order(WAITS if cls is WaitsFor else WITHIN))
    assert time.monotonic() - before < 25
    alice = found.outcome.results["alice"]
    assert (alice.kind, alice.text.split(":")[0]) == (ResultKind.ABORTED, "TimeoutError")
    assert not found.failed
    assert "── 30 s pass: the timeout of alice fires ──" in execution_report(found)
    token = decode(encode(token_for(cls(), found.schedule, "")))
    assert Strike("time", "alice") in token.schedule
    assert scenario_of(token, cls) == cls()
    for _ in range(REPLAYS):
        again = await explorer.run(cls(), Replay(token.schedule))
        assert (again.trace, again.outcome) == (found.trace, found.outcome)


@pytest.mark.parametrize("cls", KINDS)
async def test_a_timeout_that_nothing_makes_fire_does_not(explorer, cls):
    record = await explorer.run(cls(), Order("bob alice bob bob"))
    assert record.outcome.results["alice"].value == "in time"
    assert not record.trace.faults


async def test_a_timeout_before_the_end_of_a_sleep_always_fires_first(explorer):
    scheduler = make_scheduler("random", 0)
    for number in range(30):
        record = await explorer.run(SleepsTooLong(), scheduler, execution=number)
        assert record.outcome.results["alice"].text == "TimeoutError"
        assert "time@alice" in said(step.chosen for step in record.trace)


class Counts(Idle):
    """Alice reads a clock before and after its timeout, and how long that was."""

    @actor
    async def alice(self) -> tuple[float, float, float]:
        now, monotonic, loop = datetime.now(UTC), time.monotonic(), asyncio.get_running_loop().time()
        with anyio.move_on_after(30):
            await asyncio.Event().wait()
        return (
            (datetime.now(UTC) - now).total_seconds(),
            time.monotonic() - monotonic,
            asyncio.get_running_loop().time() - loop,
        )


async def test_when_nobody_can_go_on_the_timeout_that_is_due_first_fires(explorer):
    record = await explorer.run(Counts(), Order())
    assert record.outcome.ending is Ending.COMPLETED
    assert record.outcome.results["alice"].value == pytest.approx((30, 30, 30), abs=0.01)
    assert said(step.chosen for step in record.trace) == ("time@alice",)


async def test_a_pool_without_a_connection_left_is_a_stall_and_not_a_timeout(explorer):
    """The error at the end of the wait would excuse both; that nobody can go on is what to know."""
    engine = create_async_engine("postgresql+asyncpg://watched/nowhere", pool_size=1, max_overflow=0, pool_timeout=30)

    class Pools(Bank):
        watch = (engine,)

        @actor(names=("alice", "bob"))
        async def take(self, name) -> None:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                async with engine.connect() as other:
                    await other.execute(text("SELECT 2"))

    before = time.monotonic()
    record = await explorer.run(Pools(), Order())
    assert time.monotonic() - before < 25
    assert record.outcome.ending is Ending.STALLED
    assert record.failed
    await engine.dispose()


class Forgets(Within):
    """What a timeout undoes is lost: an invariant that only a timeout breaks."""

    @invariant
    async def alice_is_in_time(self, outcome) -> None:
        assert outcome.results["alice"].returned


async def test_a_timeout_that_a_failure_does_not_need_is_shrunk_away(explorer):
    class Loses(Within):
        @invariant
        async def nothing_is_written(self, session) -> None:
            assert await session.scalar(text("SELECT balance FROM account WHERE id = 1")) == 100

        @actor
        async def carol(self, session) -> None:
            await session.execute(add(1))
            await session.commit()

    async def run(scheduler):
        return await explorer.run(Loses(), scheduler)

    found = await run(Order("alice bob alice time@alice"))
    assert found.failed
    assert not (await minimise(found, run)).record.trace.faults
    needed = await explorer.run(Forgets(), Order("alice bob alice time@alice"))
    assert needed.failed
    kept = await minimise(needed, lambda scheduler: explorer.run(Forgets(), scheduler))
    assert kept.record.trace.faults == 1


async def test_time_is_not_asked_for(explorer):
    with pytest.raises(ScenarioError, match="comes unasked; leave it out"):
        await explorer.run(type("Asks", (Within,), {"faults": ("time",)})(), Order())


async def test_a_blocking_sleep_moves_the_clock(explorer):
    class Blocks(Idle):
        @actor
        async def alice(self) -> float:
            before = time.time()
            time.sleep(0.2)  # noqa: ASYNC251
            return time.time() - before

    before = time.monotonic()
    record = await explorer.run(Blocks(), Order())
    assert record.outcome.results["alice"].value == pytest.approx(0.2)
    assert time.monotonic() - before < 30
