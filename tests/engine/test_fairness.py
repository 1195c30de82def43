"""Code that polls: no schedule lets it look for ever, and what that leaves out is said."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from helpers.kit import Account, Bank, Order, replays
from sqlalchemy import update

from lab import actor, invariant
from lab.engine.fairness import SLEEPS
from lab.model.outcome import Ending
from lab.model.trace import ActionKind
from lab.search.hunt import Hunt

SAID = f"that {{}} sleeps more than {SLEEPS} times before another one goes on"


@dataclass(frozen=True)
class Polls(Bank):
    """Clients wait until a worker has done a job. `looks`: how often one looks at most."""

    looks: int = 10**9

    async def wait(self, session) -> int | None:
        for _ in range(self.looks):
            balance = (await session.get_one(Account, 1, populate_existing=True)).balance
            await session.commit()
            if balance == 1:
                return balance
            await asyncio.sleep(1)
        return None

    @actor
    async def client(self, session) -> int | None:
        return await self.wait(session)

    @actor
    async def worker(self, session) -> None:
        await session.execute(update(Account).where(Account.id == 1).values(balance=1))
        await session.commit()

    @invariant
    async def the_job_is_done(self, session) -> None:
        assert (await session.get_one(Account, 1)).balance == 1


class TwoPoll(Polls):
    """They look in turn, and neither does what both wait for."""

    @actor
    async def another(self, session) -> int | None:
        return await self.wait(session)


class NobodyWorks(Polls):
    """Nothing brings what the client waits for."""

    @actor
    async def worker(self, session) -> None:
        await session.get_one(Account, 1)


@pytest.mark.parametrize(
    ("scenario", "who"), [(Polls(), ["client"]), (TwoPoll(), ["another", "client"])], ids=["one", "two"]
)
async def test_the_one_that_others_wait_for_goes_on(plain, scenario, who):
    """The first schedules of the search by depth never leave an actor that can go on."""
    result = await Hunt.of(scenario, scheduler="dfs", executions=3).run(plain)
    assert (result.endless, result.failures) == (0, [])
    assert result.unsearched == [SAID.format(each) for each in who]
    assert not result.complete


async def test_it_is_held_back_as_late_as_is_said_and_replays(plain):
    record = await plain.run(Polls(), Order("client"))
    assert record.outcome.ending is Ending.COMPLETED
    assert record.outcome.results["client"].value == 1
    before = [step.action.kind for step in record.trace][: [step.actor for step in record.trace].index("worker")]
    assert before.count(ActionKind.SLEEP) == SLEEPS
    assert await replays(plain, record)


async def test_it_may_sleep_as_often_as_a_lease_needs_to_run_out(plain):
    record = await plain.run(Polls(looks=SLEEPS), Order("client"))
    assert record.outcome.results["client"].value is None
    assert record.unsearched == ()


async def test_what_nobody_brings_still_meets_the_step_limit(plain):
    result = await Hunt.of(NobodyWorks(), scheduler="dfs", executions=1).run(plain)
    assert result.endless == 1
