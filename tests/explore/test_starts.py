"""Who begins first is part of the schedule where it can matter: what an actor does before its first statement."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import asyncpg
import pytest
from helpers.kit import Bank, Order, add, lock, replays, searched, told
from hypothesis import HealthCheck, Phase, given, settings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from lab import actor, invariant, schedules
from lab.errors import Violation
from lab.explore import Conditions
from lab.model.replay_token import decode, encode, token_for
from lab.model.starts import Starts
from lab.report.hunts import hunt_lines
from lab.schedulers import SCHEDULERS, make_scheduler
from lab.schedulers.serial import InOrder
from lab.search.hunt import Hunt
from lab.shrink.replays import replay_times
from lab.testing import Lab

NOWHERE = "nobody@nowhere.invalid/none"
DOUBLE = text("UPDATE account SET balance = balance * 2 WHERE id = 1")
TAKE = text("UPDATE account SET balance = balance - 120 WHERE id = 1 AND balance >= 120")


class Ordered(Bank):
    """Alice doubles what there is, then bob takes 120 of it; the other way round there is too little to take."""

    @invariant
    async def eighty_are_left(self, session) -> None:
        assert await session.scalar(text("SELECT balance FROM account WHERE id = 1")) == 80


def _pool_of_one() -> Bank:
    class OnlyConnection(Ordered):
        watch = (create_async_engine(f"postgresql+asyncpg://{NOWHERE}", pool_size=1, max_overflow=0),)

        @actor(names=("alice", "bob"))
        async def work(self, name) -> None:
            async with AsyncSession(self.watch[0]) as session, session.begin():
                await session.execute(DOUBLE if name == "alice" else TAKE)

    return OnlyConnection()


def _guarded(guard) -> Bank:
    class Guarded(Ordered):
        @actor(names=("alice", "bob"))
        async def work(self, name, session) -> None:
            async with guard:
                await session.execute(DOUBLE if name == "alice" else TAKE)
                await session.commit()

    return Guarded()


def _queue() -> Bank:
    class Taken(Bank):
        """Two jobs of different size; each worker writes down what it took."""

        @actor(names=("alice", "bob"))
        async def work(self, name, session) -> None:
            if waiting.empty():
                for job in (1, 2):
                    waiting.put_nowait(job)
            job = waiting.get_nowait()
            await session.execute(add(1 if name == "alice" else 2, job))
            await session.commit()

        @invariant
        async def alice_took_the_small_one(self, session) -> None:
            while not waiting.empty():
                waiting.get_nowait()
            assert await session.scalar(text("SELECT balance FROM account WHERE id = 1")) == 101

    waiting: asyncio.Queue[int] = asyncio.Queue()
    return Taken()


def _cache(*, filled_after: bool) -> Bank:
    """A cache of the process that the first one fills, before its own first statement or behind it."""

    class Cached(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, name, session) -> None:
            known = list(kept)
            if not known and not filled_after:
                kept.append(name)
            await session.execute(lock(3))
            if not known and filled_after:
                kept.append(name)
            await session.execute(add(1 if (known or [name])[0] == name else 2))
            await session.commit()

        @invariant
        async def who_is_second_is_not_alice(self, session) -> None:
            first = kept[0] if kept else None
            kept.clear()
            second = await session.scalar(text("SELECT balance FROM account WHERE id = 2"))
            assert second == 100 or first == "alice"

    kept: list[str] = []
    return Cached()


def _flag(*, set_after: int) -> Bank:
    """Who begins while another is busy, as a flag of the process says from its n-th statement on, adds ten times."""

    class Flagged(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, name, session) -> None:
            amount = 10 if busy else 1
            for number in range(4):
                if number == set_after:
                    busy.append(name)
                if number == set_after + 1:
                    busy.remove(name)
                await session.execute(add(1, amount) if number == 2 else lock(3))
            await session.commit()

        @invariant
        async def two_were_added(self, session) -> None:
            busy.clear()
            assert await session.scalar(text("SELECT balance FROM account WHERE id = 1")) == 102

    busy: list[str] = []
    return Flagged()


def _asyncpg_pool() -> Bank:
    class Pooled(Ordered):
        @actor(names=("alice", "bob"))
        async def work(self, name) -> None:
            async with making:
                if not pools:
                    pools.append(await asyncpg.create_pool(f"postgresql://{NOWHERE}", min_size=1, max_size=1))
                users.append(name)
            async with pools[0].acquire() as connection:
                await connection.execute(str(DOUBLE if name == "alice" else TAKE))
            users.remove(name)
            if not users:
                await pools.pop().close()

    making = asyncio.Lock()
    pools: list[asyncpg.Pool] = []
    users: list[str] = []
    return Pooled()


KINDS = {
    "a pool of one": _pool_of_one,
    "a lock": lambda: _guarded(asyncio.Lock()),
    "a semaphore": lambda: _guarded(asyncio.Semaphore(1)),
    "a condition": lambda: _guarded(asyncio.Condition()),
    "a queue": _queue,
    "a cache filled before the first statement": lambda: _cache(filled_after=False),
    "a cache filled behind the first statement": lambda: _cache(filled_after=True),
    "a pool of asyncpg's": _asyncpg_pool,
    "a flag that is set for the second statement": lambda: _flag(set_after=1),
    "a flag that is set for the third statement": lambda: _flag(set_after=2),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_noticed_that_the_order_of_beginnings_matters(explorer, kind):
    assert await explorer.starts(KINDS[kind]()) is Starts.DECIDED


@pytest.mark.parametrize("scheduler", SCHEDULERS)
async def test_every_scheduler_finds_who_took_the_only_connection_first(explorer, scheduler):
    hunt = Hunt.of(_pool_of_one(), scheduler=scheduler, executions=30, refine=False)
    result = await hunt.run(explorer)
    assert result.failures, result.shown()


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_is_found_and_replays(explorer, kind):
    scenario = KINDS[kind]()
    result = await Hunt.of(scenario, executions=30, refine=False).run(explorer)
    (failure,) = result.failures
    token = decode(failure.token)
    assert failure.token.startswith("lab2:")
    assert token.schedule.starts
    again = await replay_times(explorer, scenario, token.schedule, Conditions(), 3)
    assert (again.identical, again.verdict) == (3, "fail"), again.divergence


async def test_the_order_in_which_several_wait_for_a_connection_is_decided(explorer):
    class OneForThree(Ordered):
        watch = (create_async_engine(f"postgresql+asyncpg://{NOWHERE}", pool_size=1, max_overflow=0),)

        @actor(names=("alice", "bob", "carol"))
        async def work(self, name) -> None:
            async with AsyncSession(self.watch[0]) as session, session.begin():
                await session.execute(add(1))
            served.append(name)

    served: list[str] = []
    for order in ("carol bob alice", "bob alice carol"):
        await explorer.run(OneForThree(), Order(order), starts=True)
        assert " ".join(served[-3:]) == order, "those before were to learn what differs by nature"


@pytest.mark.parametrize("kind", ["a pool of one", "a cache filled behind the first statement"])
async def test_reduction_meets_every_outcome_that_all_schedules_have(explorer, kind):
    outcomes = {}
    for scheduler in ("dpor", "dfs"):
        scenario = KINDS[kind]()
        runs = searched(explorer, scenario, make_scheduler(scheduler, 0), starts=True)
        outcomes[scheduler] = {record.outcome.digest() async for record in runs}
    assert outcomes["dpor"] == outcomes["dfs"]
    assert len(outcomes["dfs"]) > 1


class Apart(Bank):
    """Each does much before its first statement, and none of it is another's business."""

    @actor(names=("alice", "bob"))
    async def work(self, name, sessions) -> None:
        until = datetime.now(UTC) + timedelta(minutes=5)
        async with asyncio.timeout(30), sessions() as session:
            found = await asyncio.gather(self._read(sessions, 1), self._read(sessions, 2))
            await session.execute(text("UPDATE account SET balance = balance + :n"), {"n": until.minute * 0 + found[0]})
            await session.commit()

    async def _read(self, sessions, number: int) -> int:
        async with sessions() as session:
            return await session.scalar(text(f"SELECT balance FROM account WHERE id = {number}"))


async def test_where_it_makes_no_difference_nobody_begins_by_a_decision(explorer):
    assert await explorer.starts(Apart()) is Starts.FIXED
    result = await Hunt.of(Apart(), executions=3).run(explorer)
    assert result.shown()["starts"] == "fixed"
    assert not any(line.startswith("begin:") for line in hunt_lines(result, "portfolio"))


async def test_beginnings_within_a_long_actor_are_tried_at_some_places(explorer, monkeypatch):
    """And the last one of three is within the first one as well."""
    tried = []

    class Long(Bank):
        @actor(names=("alice", "bob", "carol"))
        async def work(self, session) -> None:
            for _ in range(30):
                await session.execute(text("SELECT 1"))

    class Noted(InOrder):
        def __init__(self, order, *, begin=(), at=0) -> None:
            super().__init__(order, begin=begin, at=at)
            tried.append((tuple(begin), at))

    monkeypatch.setattr("lab.explore.starts.InOrder", Noted)
    assert await explorer.starts(Long()) is Starts.FIXED
    within = [at for begin, at in tried if begin == ("bob", "carol")]
    assert (within[0], len(within)) == (1, 16)
    assert [at for begin, at in tried if begin == ("bob", "alice")] == within
    assert {after - before for before, after in pairwise(within)} == {2}


async def test_a_token_made_before_beginnings_were_decided_replays_without_them(explorer):
    scenario = _pool_of_one()
    record = await explorer.run(scenario, Order("alice"))
    assert told(record.trace)[0] == "alice UPDATE account SET balance = balance * 2 WHERE id = 1"
    token = encode(token_for(scenario, record.schedule, ""))
    assert token.startswith("lab1:")
    assert not decode(token).schedule.starts
    assert await replays(explorer, record, starts=True)


async def test_what_cannot_be_tried_to_its_end_is_not_known(explorer):
    assert await explorer.starts(Apart(), Conditions(step_limit=3)) is Starts.UNKNOWN


async def test_where_it_is_not_known_no_search_has_run_every_trace(explorer, monkeypatch):
    class Small(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            await session.execute(add(1))

    async def not_known(*_: object, **__: object) -> Starts:
        return Starts.UNKNOWN

    monkeypatch.setattr(explorer, "starts", not_known)
    result = await Hunt.of(Small(), scheduler="dfs", executions=50).run(explorer)
    assert (result.verdict, result.exhausted) == ("pass", True)
    assert not result.complete
    assert result.preemption_bound is None
    lines = list(hunt_lines(result, "dfs"))
    assert any(line.startswith("begin: all actors began in one order") for line in lines)
    assert not any("all" in line for line in lines if line.startswith("searched:"))


async def test_serial_runs_are_possible_in_every_order_of_who_takes_the_only_connection(explorer):
    class Adds(Bank):
        watch = (create_async_engine(f"postgresql+asyncpg://{NOWHERE}", pool_size=1, max_overflow=0),)

        @actor(names=("alice", "bob"))
        async def work(self, name) -> str:
            async with AsyncSession(self.watch[0]) as session, session.begin():
                await session.execute(DOUBLE if name == "alice" else add(1, 7))

    conditions = Conditions(checks=("serial",))
    result = await Hunt.of(Adds(), scheduler="dpor", executions=50, conditions=conditions).run(explorer)
    assert (result.verdict, result.complete, result.unjudged) == ("pass", True, 0), result.shown()
    assert len(result.outcomes) == 2
    assert any(line.startswith("begin: the order in which") for line in hunt_lines(result, "dpor"))


@pytest.mark.xfail(raises=Violation, strict=True)
@settings(
    derandomize=True,
    database=None,
    max_examples=20,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(schedule=schedules())
async def test_a_schedule_that_hypothesis_draws_decides_who_begins(explorer, schedule):
    """The violation is what is expected: bob may take the only connection first."""
    await Lab(explorer).check(ONLY_CONNECTION, schedule)


ONLY_CONNECTION = _pool_of_one()
