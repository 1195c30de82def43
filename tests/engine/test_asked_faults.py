"""Faults that a hunt asks for, though the scenario lists none: they strike, shrink away, replay from a token alone."""

from __future__ import annotations

import pytest
from helpers.decided import decided
from helpers.kit import Bank, Order, add
from sqlalchemy import text

from lab import actor, invariant
from lab.errors import TokenError, UsageError
from lab.explore import Conditions
from lab.model.replay_token import decode, encode, scenario_of, token_for, token_of
from lab.model.schedule import Schedule
from lab.scenario.declare import Scenario
from lab.schedulers import make_scheduler
from lab.schedulers.replay import Replay
from lab.search.hunt import Hunt
from lab.search.job import Job
from lab.shrink.minimise import minimise

ASKED = Conditions(added_faults=("cancel", "kill"))


class HalfDone(Bank):
    """Commits half-way: nothing is wrong with it unless somebody asks for a fault."""

    @actor(names=("alice", "bob"))
    async def work(self, session) -> None:
        await session.execute(add(1))
        await session.commit()
        await session.execute(add(2))
        await session.commit()

    @invariant
    async def both_or_none(self, session):
        first, second = (await session.scalars(text("SELECT balance FROM account WHERE id < 3 ORDER BY id"))).all()
        assert first == second, f"{first} and {second}"


class LosesUpdates(Bank):
    """Breaks without a fault, and with one."""

    @actor(names=("alice", "bob", "carol"))
    async def work(self, session) -> None:
        balance = await session.scalar(text("SELECT balance FROM account WHERE id = 1"))
        await session.execute(text(f"UPDATE account SET balance = {balance + 1} WHERE id = 1"))
        await session.commit()

    @invariant
    async def who_returned_is_counted(self, session, outcome):
        balance = await session.scalar(text("SELECT balance FROM account WHERE id = 1"))
        assert balance >= 100 + len(outcome.committed)


async def _struck(explorer, scenario: Scenario):
    """The first violation of a random walk that holds a fault; there is one within 300 executions."""
    scheduler = make_scheduler("random", 11)
    for number in range(300):
        record = await explorer.run(scenario, scheduler, ASKED, execution=number)
        if record.failed and record.trace.faults:
            return record
    raise AssertionError("no violation")


async def test_what_was_asked_for_breaks_a_scenario_that_lists_none(explorer):
    found = await Hunt.of(HalfDone(), scheduler="random", executions=60, refine=False).run(explorer)
    assert not found.failures
    asked = Hunt.of(HalfDone(), scheduler="random", executions=60, refine=False, conditions=ASKED)
    assert (await asked.run(explorer)).failures


@pytest.mark.parametrize(("cls", "faults"), [(LosesUpdates, 0), (HalfDone, 1)])
async def test_a_violation_under_faults_shrinks_to_those_that_it_needs(explorer, cls, faults):
    found = await _struck(explorer, cls())
    smallest = (await minimise(found, lambda scheduler: explorer.run(cls(), scheduler, ASKED))).record
    assert smallest.failed
    assert smallest.trace.faults == faults


async def test_its_token_replays_though_nobody_asks_again(explorer):
    """The faults of the schedule may strike, and no other: so what else was offered does not count in the token."""
    record = await explorer.run(HalfDone(), Order("alice alice kill@alice alice bob"), ASKED)
    assert record.failed
    token = decode(encode(token_of(record, "")))
    replay = Replay(token.schedule)
    again = await explorer.run(scenario_of(token, HalfDone), replay)
    assert again.outcome == record.outcome
    assert {str(each) for step in again.trace for each in step.alternatives if "cancel" in str(each)} == set()


async def test_the_outcome_names_who_was_struck_and_who_is_in_doubt(explorer):
    record = await explorer.run(HalfDone(), Order("alice alice kill@alice alice bob"), ASKED)
    assert record.outcome.struck == record.outcome.in_doubt == ("alice",)
    assert record.outcome.possible == (frozenset({"bob"}), frozenset({"alice", "bob"}))


async def test_a_token_may_hold_more_faults_than_a_scenario_allows(explorer):
    two = Conditions(added_faults=("kill",), faults_at_most=2)
    record = await explorer.run(HalfDone(), Order("alice kill@alice bob kill@bob"), two)
    assert record.trace.faults == 2
    again = await explorer.run(HalfDone(), Replay(record.schedule))
    assert again.outcome == record.outcome


@pytest.mark.parametrize("most", [0, 2])
async def test_at_most_as_many_strike_as_was_asked_for(explorer, most):
    """Of 12 executions of 8 points or more, none with two faults has p < 0.01."""
    conditions = Conditions(added_faults=("kill",), faults_at_most=most)
    scheduler = make_scheduler("random", 3)
    counts = set()
    for number in range(12):
        counts.add((await explorer.run(HalfDone(), scheduler, conditions, execution=number)).trace.faults)
    assert max(counts) == most


async def test_a_fault_that_nobody_knows_is_refused(explorer):
    with pytest.raises(UsageError, match="there is no fault 'meteor' to ask for; known are cancel, kill, crash"):
        await explorer.run(HalfDone(), Order(), Conditions(added_faults=("meteor",)))
    token = token_for(HalfDone(), Schedule(decided("alice meteor@alice")), "")
    with pytest.raises(TokenError, match="the schedule has a fault 'meteor' that this lab does not know, only cancel"):
        await explorer.run(scenario_of(token, HalfDone), Replay(token.schedule))


def test_a_job_for_another_process_has_its_faults():
    job = Job("a:B", conditions=Conditions(added_faults=("kill",), faults_at_most=3))
    assert Job.load(job.dump()) == job
    older = job.dump()
    del older["conditions"]["added_faults"], older["conditions"]["faults_at_most"]
    assert Job.load(older).conditions == Conditions()
