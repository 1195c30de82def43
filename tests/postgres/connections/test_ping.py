"""A pool that asks whether its connections still live (`pool_pre_ping`) adds nothing to what is scheduled or seen."""

from __future__ import annotations

import pytest
from helpers.kit import Bank, add
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from lab import actor
from lab.model.trace import ActionKind
from lab.postgres.connections.ping import Ping
from lab.schedulers import make_scheduler


@pytest.fixture
async def pinging(server):
    engine = create_async_engine(f"postgresql+asyncpg://postgres@/home?host={server.folder / 's'}", pool_pre_ping=True)
    yield engine
    await engine.dispose()


async def ran(plain, scenario):
    return await plain.run(scenario, make_scheduler("serial", 0), recorded=True)


async def test_a_ping_is_no_step_and_hides_no_answer(plain, pinging):
    """Each request begins with one; the second session's comes while the COMMIT of the first is the step under way."""
    factory = async_sessionmaker(pinging)

    class Pinged(Bank):
        watch = (pinging,)

        @actor(names=("alice", "bob"))
        async def work(self) -> None:
            async with factory() as session:
                await session.execute(add(1))
                await session.commit()
            async with factory() as session:
                await session.scalar(text("SELECT 1"))

    record = await ran(plain, Pinged())
    kinds = [step.action.kind for step in record.trace.steps]
    one = [ActionKind.STATEMENT, ActionKind.COMMIT, ActionKind.STATEMENT, ActionKind.ROLLBACK]
    assert kinds == one * 2
    assert [step.result.tag for step in record.trace.steps][1] == "COMMIT"
    assert all(transaction.operations for transaction in record.history.transactions)


async def test_a_rollback_of_more_than_a_ping_is_a_step(plain):
    """Also where an empty statement was the last one before it."""

    class Asks(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, connection) -> None:
            await connection.execute(add(1))
            driver = (await connection.get_raw_connection()).driver_connection
            await driver.fetchrow(";")
            await connection.rollback()

    record = await ran(plain, Asks())
    assert [step.action.kind for step in record.trace.steps] == [ActionKind.STATEMENT, ActionKind.ROLLBACK] * 2


@pytest.mark.parametrize(
    ("sent", "quiet"),
    [
        (("BEGIN", ";", "ROLLBACK"), True),
        (("BEGIN", ";", ";", "ROLLBACK"), True),
        (("BEGIN", "ROLLBACK"), False),
        (("BEGIN", ";", "COMMIT"), False),
        (("BEGIN", "SELECT 1", ";", "ROLLBACK"), False),
        (("BEGIN", ";", "SELECT 1", "ROLLBACK"), False),
        ((";", "ROLLBACK"), False),
        (("BEGIN", ";", "ROLLBACK", "ROLLBACK"), False),
    ],
)
def test_only_a_transaction_of_nothing_but_pings_ends_unseen(sent, quiet):
    ping = Ping()
    kinds = {"COMMIT": ActionKind.COMMIT, "ROLLBACK": ActionKind.ROLLBACK}
    answers = [ping.only(each, begins=each == "BEGIN", ends=kinds.get(each)) for each in sent]
    assert answers[-1] is quiet
