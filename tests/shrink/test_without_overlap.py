"""What breaks though no actors overlap is no race: the report begins with that, and no remedies are tried."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.kit import Account, Bank, Order, add
from sqlalchemy import select

from lab import actor, invariant
from lab.report.failure import execution_report
from lab.search.hunt import Hunt
from lab.search.job import Job
from lab.search.remedies.curable import curable

HEADLINE = "FAILS ALREADY WITHOUT OVERLAP: NOT A RACE\n"


@dataclass(frozen=True)
class Miscounts(Bank):
    """Wrong in every order."""

    @actor(names=("alice", "bob"))
    async def work(self, session) -> None:
        await session.execute(add(1, 2))
        await session.commit()

    @invariant
    async def each_adds_one(self, session) -> None:
        assert await session.scalar(select(Account.balance).where(Account.id == 1)) == 102


class InOneOrder(Miscounts):
    """Wrong in one of the serial orders only: bob expects to be first."""

    @actor(names=("alice", "bob"))
    async def work(self, session, name) -> None:
        balance = await session.scalar(select(Account.balance).where(Account.id == 1))
        await session.execute(add(1, 1))
        await session.commit()
        if name == "bob":
            assert balance == 100


class Fails(Miscounts):
    each_adds_one = None

    @actor(names=("alice", "bob"))
    async def work(self, session) -> None:
        await session.execute(add(1))
        raise ZeroDivisionError("by itself")


class Loses(Miscounts):
    """A race."""

    @actor(names=("alice", "bob"))
    async def work(self, session) -> None:
        account = await session.get_one(Account, 1)
        account.balance += 1
        await session.commit()


BEGUN: list[str] = []


class WaitsForNobody(Miscounts):
    """Breaks only where both have begun before one of them goes on, which the steps do not show."""

    each_adds_one = None

    @actor(names=("alice", "bob"))
    async def work(self, session, name) -> str:
        BEGUN.append(name)
        await session.execute(add(1))
        await session.commit()
        alone = len(BEGUN) == 1
        BEGUN.remove(name)
        return "alone" if alone else "beside another"

    @invariant
    async def each_is_alone(self, outcome) -> None:
        assert {result.value for result in outcome.results.values()} == {"alone"}


async def hunted(explorer, scenario):
    job = Job.of(scenario, executions=60)
    result = await Hunt(scenario, job).run(explorer)
    return result.failures[0], curable(job, result)


async def test_it_is_the_headline_and_nothing_is_tried_against_it(explorer):
    for scenario in (Miscounts(), InOneOrder(), Fails()):
        failure, cured = await hunted(explorer, scenario)
        assert failure.report.startswith(HEADLINE), scenario
        assert failure.without_overlap
        assert failure.shown()["without_overlap"] is True
        assert cured is None


async def test_a_race_has_its_own_headline(explorer):
    failure, cured = await hunted(explorer, Loses())
    assert failure.report.startswith("LOST UPDATE")
    assert not failure.without_overlap
    assert cured is failure


async def test_a_replay_says_it_too(explorer):
    assert execution_report(await explorer.run(Miscounts(), Order())).startswith(HEADLINE)
    assert not execution_report(await explorer.run(Loses(), Order())).startswith(HEADLINE)
    overlapping = await explorer.run(Miscounts(), Order("alice bob"))
    assert execution_report(overlapping).startswith("INVARIANT BROKEN")


async def test_actors_that_began_beside_each_other_overlap(explorer):
    failure, _ = await hunted(explorer, WaitsForNobody())
    assert not failure.without_overlap
    assert not failure.report.startswith(HEADLINE)
