"""Who gets no connection: it is told what a pool or the server says, nothing is sent, and it may ask again."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest
from helpers.kit import Bank, Order, add, replays
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from lab import actor

KINDS = ["full-pool", "too-many-connections"]
ONE, BOTH = "(1,101) (2,100)", "(1,102) (2,100)"


class Takes(Bank):
    """Alice and bob add to account 1, in a transaction of its own each time."""

    faults = tuple(KINDS)
    times = 1

    @actor(names=("alice", "bob"))
    async def work(self, sessions) -> str:
        for _ in range(self.times):
            async with sessions.begin() as session:
                await session.execute(add(1))
        return "done"


def balances(record) -> str:
    return " ".join(record.outcome.rows["account"][:2])


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("full-pool", "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00"),
        ("too-many-connections", "sorry, too many clients already"),
    ],
)
async def test_who_gets_no_connection_is_told_so_and_sends_nothing(explorer, kind, told):
    record = await explorer.run(Takes(), Order(f"{kind}@alice"))
    assert told in record.outcome.results["alice"].text
    assert record.outcome.results["bob"].text == "'done'"
    assert balances(record) == ONE
    assert not record.failed
    assert await replays(explorer, record, 2)


@pytest.mark.parametrize("kind", KINDS)
async def test_it_strikes_only_before_the_first_statement_on_a_connection(explorer, kind):
    """Before a COMMIT, or a second statement of a transaction, the actor has its connection."""
    record = await explorer.run(Takes(), Order("alice alice bob bob"))
    alice = [_offers(step, kind, "alice") for step in record.trace]
    assert alice == [True, False, False, False]


def _offers(step, kind: str, name: str) -> bool:
    return any((getattr(each, "fault", ""), each.actor) == (kind, name) for each in step.alternatives)


@pytest.mark.parametrize("kind", KINDS)
async def test_who_asks_again_gets_one_and_may_lose_that_too(explorer, kind):
    """Also in the session that it has: the next statement there is another try."""

    class Insists(Takes):
        faults_at_most = 2

        @actor(names=("alice", "bob"))
        async def work(self, session) -> int:
            for attempt in (1, 2, 3):
                try:
                    await session.execute(add(1))
                    await session.commit()
                except (PoolTimeout, DBAPIError, asyncpg.PostgresError):
                    continue
                return attempt
            return 0

    record = await explorer.run(Insists(), Order(f"{kind}@alice alice {kind}@alice alice"))
    assert {name: result.value for name, result in record.outcome.results.items()} == {"alice": 3, "bob": 1}
    assert balances(record) == BOTH
    assert await replays(explorer, record, 2)


async def test_time_passes_while_a_pool_is_full_and_a_shorter_timeout_fires_first(explorer):
    class Clocked(Takes):
        @actor
        async def patient(self, session) -> int:
            before = time.time()
            try:
                await session.execute(add(1))
            except PoolTimeout:
                return round(time.time() - before)
            return 0

        @actor
        async def hasty(self, session) -> str:
            try:
                async with asyncio.timeout(5):
                    await session.execute(add(2))
            except TimeoutError:
                return "timeout"
            return "in time"

        work = None

    record = await explorer.run(Clocked(), Order("full-pool@patient"))
    assert {name: result.value for name, result in record.outcome.results.items()} == {
        "patient": 30,
        "hasty": "timeout",
    }


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"pool_size": 2, "max_overflow": 1, "pool_timeout": 7},
            "size 2 overflow 1 reached, connection timed out, timeout 7.00",
        ),
        ({"max_overflow": -1}, None),
        ({"poolclass": NullPool}, None),
    ],
    ids=["small", "unlimited", "none"],
)
async def test_a_pool_of_the_application_says_its_own_limits_if_it_has_any(explorer, options, told):
    """A pool without an end is never full, but each of its connections may be one too many."""
    engine = create_async_engine("postgresql+asyncpg://shop@db.invalid/shop", **options)

    class Own(Takes):
        watch = (engine,)

        @actor(names=("alice", "bob"))
        async def work(self, name: str) -> None:
            async with engine.begin() as connection:
                await connection.execute(add(1))

    record = await explorer.run(Own(), Order("too-many-connections@alice"))
    assert "sorry, too many clients already" in record.outcome.results["alice"].text
    assert _offers(record.trace.steps[0], "full-pool", "bob") == (told is not None)
    if told is not None:
        record = await explorer.run(Own(), Order("full-pool@alice"))
        assert told in record.outcome.results["alice"].text


async def test_a_connection_of_asyncpg_itself_may_be_one_too_many(explorer):
    class Direct(Takes):
        @actor(names=("alice", "bob"))
        async def work(self, name: str) -> None:
            connection = await asyncpg.connect("postgresql://shop@db.invalid/shop")
            try:
                await connection.execute("UPDATE account SET balance = balance + 1 WHERE id = 1")
            finally:
                await connection.close()

    record = await explorer.run(Direct(), Order("too-many-connections@alice"))
    assert "sorry, too many clients already" in record.outcome.results["alice"].text
    assert not _offers(record.trace.steps[0], "full-pool", "alice")
    assert balances(record) == ONE
    assert await replays(explorer, record, 2)
