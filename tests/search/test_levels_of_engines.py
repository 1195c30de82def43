"""A level that an application's engine asks for is the level of its transactions, whatever the session's default is."""

from __future__ import annotations

import pytest
from helpers.kit import Account, Bank
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import create_async_engine

from lab import actor, invariant
from lab.explore import Conditions
from lab.schedulers.serial import Serial
from lab.search.hunt import Hunt

HOME = "postgresql+asyncpg://shop@db.internal/shop"
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "AUTOCOMMIT")


@pytest.mark.parametrize("session", LEVELS[:3])
@pytest.mark.parametrize("level", LEVELS)
async def test_each_statement_is_known_by_the_level_at_which_the_server_runs_it(plain, level, session):
    class Asks(Bank):
        engine = create_async_engine(HOME, isolation_level=level)
        watch = (engine,)

        @actor(names=("alice", "bob"))
        async def work(self) -> str:
            async with self.engine.connect() as connection:
                await connection.execute(select(Account.balance))
                return await connection.scalar(text("SHOW transaction_isolation"))

    record = await plain.run(Asks(), Serial(), Conditions(session))
    by_server = {result.value.upper() for result in record.outcome.results.values()}
    assert by_server == {session if level == "AUTOCOMMIT" else level}
    assert {step.action.footprint.level for step in record.trace if step.action.footprint} <= {level}
    reads = [step.action.touches.level for step in record.trace if "balance" in step.action.text]
    assert reads == [level] * 2


class Returned(Bank):
    """A balance is set, and read again in what is a transaction of its own: another one may have come between."""

    engine = create_async_engine(HOME, isolation_level="AUTOCOMMIT")
    watch = (engine,)

    async def _sets(self, value: int) -> int | None:
        async with self.engine.connect() as connection:
            await connection.execute(update(Account).where(Account.id == 1).values(balance=value))
            return await connection.scalar(select(Account.balance).where(Account.id == 1))

    @actor
    async def alice(self) -> int | None:
        return await self._sets(1)

    @actor
    async def bob(self) -> int | None:
        return await self._sets(2)

    @invariant
    async def alice_reads_what_it_set(self, outcome) -> None:
        assert outcome.results["alice"].value == 1


@pytest.mark.parametrize("scheduler", ["dpor", "dfs"])
async def test_statements_that_commit_by_themselves_are_run_in_every_order_that_shows(explorer, scheduler):
    result = await Hunt.of(Returned(), scheduler=scheduler, keep_going=True, executions=100).run(explorer)
    assert result.verdict == "fail"
    assert result.complete
    assert {failure.broken for failure in result.failures} == {"alice reads what it set"}
