"""A defect of the lab's own, planted where it judges and explains, ends no hunt and makes no pass.

The verdict says in a sentence which check was not done; what else was found stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from helpers.kit import Account, Bank, Order, add
from sqlalchemy import select

from lab import actor, invariant
from lab.checkers import CHECKERS
from lab.errors import LabError, UncontrolledError
from lab.explore import Conditions
from lab.postgres.connections import journal
from lab.report.failure import execution_report
from lab.search.hunt import Hunt
from lab.shrink.replays import replay_times
from lab.testing import Lab

SERIAL = Conditions(checks=("serial",))
ISOLATION = Conditions(checks=("isolation",))
OWN = "which is a defect of its own (KeyError: 'of the lab', "


class Right(Bank):
    """Two add to one row."""

    @actor
    async def ann(self, session) -> None:
        await session.execute(add(1))
        await session.commit()

    @actor
    async def ben(self, session) -> None:
        await session.execute(add(1))
        await session.commit()

    @invariant
    async def both_are_there(self, session) -> None:
        assert await session.scalar(select(Account.balance).where(Account.id == 1)) == 102


class Lost(Right):
    """Ben writes what it read."""

    @actor
    async def ben(self, session) -> None:
        account = await session.get_one(Account, 1)
        account.balance += 1
        await session.commit()


def fail(*args: object, **named: object) -> Any:
    raise KeyError("of the lab")


async def fails(*args: object, **named: object) -> Any:
    """The same where something is awaited."""
    raise KeyError("of the lab")


def spoil(monkeypatch: pytest.MonkeyPatch, name: str, check: Callable[[Any], Any] = fail) -> None:
    """Make a checker fail, wherever it judges."""
    monkeypatch.setitem(CHECKERS._values, name, replace(CHECKERS[name], check=check))


def anew(cls: type[Bank]) -> Bank:
    """The same scenario, of which nothing is known yet."""
    return type(cls.__name__, (cls,), {"__module__": __name__})()


@pytest.mark.parametrize("name", CHECKERS)
async def test_a_checker_that_fails_makes_no_pass_and_ends_no_hunt(explorer, monkeypatch, name):
    """Also one that is asked for by name."""
    spoil(monkeypatch, name)
    asked = Conditions(checks=tuple({name} & {"serial", "isolation"}))
    result = await Hunt.of(Right(), executions=4, conditions=asked).run(explorer)
    assert result.executions == 4
    assert not result.trouble
    assert result.verdict == "inconclusive"
    assert result.reason.startswith(f"the lab could not do the check {name!r}, {OWN}")
    assert result.shown()["not_checked"] == [result.reason]


@pytest.mark.parametrize("name", [name for name in CHECKERS if name not in ("invariant", "serial", "isolation")])
async def test_what_the_other_checkers_find_stands(explorer, monkeypatch, name):
    spoil(monkeypatch, name)
    result = await Hunt.of(Lost(), executions=20).run(explorer)
    assert result.verdict == "fail"
    (failure,) = result.failures
    assert failure.replays == failure.identical == 5
    assert failure.report.count(f"the lab could not do the check {name!r}") == 1


async def test_a_replay_that_was_not_wholly_checked_is_inconclusive(explorer, monkeypatch):
    record = await explorer.run(Right(), Order("ann ben"))
    assert record.passed
    spoil(monkeypatch, "invariant")
    replays = await replay_times(explorer, Right(), record.schedule, Conditions(), 2)
    assert (replays.identical, replays.verdict) == (2, "inconclusive")
    report = execution_report(replays.record)
    assert report.startswith(f"NOT WHOLLY CHECKED  {__name__}:Right\nthe lab could not do the check 'invariant', {OWN}")


async def test_a_check_that_was_not_done_fails_the_users_test(explorer, monkeypatch):
    """It would pass otherwise, and say nothing."""
    await Lab(explorer).check(Right())
    spoil(monkeypatch, "invariant")
    with pytest.raises(UncontrolledError, match="the lab could not do the check 'invariant'"):
        await Lab(explorer).check(Right())


@pytest.mark.parametrize(
    "where",
    [
        "lab.explore.serial_runs.effects_of",
        "lab.explore.serial_runs.compare",
        "lab.explore.serial_runs.serial.is_serial",
        "lab.explore.blame._each_is_one_transaction",
    ],
)
async def test_where_comparing_with_serial_runs_fails_the_hunt_goes_on_and_nothing_passes(explorer, monkeypatch, where):
    monkeypatch.setattr(where, fail)
    asked = replace(SERIAL, recorded=True)
    result = await Hunt.of(anew(Right), executions=4, conditions=asked).run(explorer)
    assert (result.executions, result.trouble, result.verdict) == (4, "", "inconclusive")
    assert result.reason.startswith(f"the lab could not compare this execution with serial runs, {OWN}")


async def test_where_only_the_blame_is_in_doubt_the_verdict_stands(explorer, monkeypatch):
    """Nobody asked for serial runs. They would have said whether the database is at fault."""
    monkeypatch.setattr("lab.explore.blame._each_is_one_transaction", fail)
    result = await Hunt.of(Lost(), executions=20).run(explorer)
    (failure,) = result.failures
    assert failure.report.count("the lab could not compare this execution with serial runs") == 1
    result = await Hunt.of(Right(), executions=4, conditions=ISOLATION).run(explorer)
    assert result.verdict == "inconclusive"
    assert result.reason.startswith(f"the lab could not compare this execution with serial runs, {OWN}")


STAGES = {
    "lab.shrink.refine._located": ("find the line of code behind each step", fails),
    "lab.shrink.minimise._smaller": ("minimise this failure", fail),
    "lab.shrink.refine.minimise": ("minimise this failure", fails),
    "lab.shrink.relevance._swappable": ("find out what it needs", fail),
    "lab.shrink.refine.replay_times": ("replay this failure", fails),
    "lab.shrink.refine._levels": ("try this order at the levels above", fails),
}


@pytest.mark.parametrize("where", STAGES)
async def test_a_stage_between_a_failure_and_its_report_that_fails_is_said_once(explorer, monkeypatch, where):
    """The failure, its story and its token stand."""
    doing, broken = STAGES[where]
    monkeypatch.setattr(where, broken)
    result = await Hunt.of(Lost(), executions=20).run(explorer)
    assert (result.verdict, result.trouble) == ("fail", "")
    (failure,) = result.failures
    assert failure.report.count(f"the lab could not {doing}, {OWN}") == 1
    assert failure.token in failure.report
    assert "UPDATE account" in failure.report


async def test_what_is_not_known_to_be_checked_is_not_said_to_be_needed(explorer, monkeypatch):
    """An execution that broke nothing that could be checked says nothing of what the failure needs."""
    invariants = CHECKERS["invariant"].check
    spoil(monkeypatch, "invariant", lambda record: tuple(invariants(record)) or fail())
    result = await Hunt.of(Lost(), executions=20).run(explorer)
    (failure,) = result.failures
    assert "Needed" not in failure.report
    assert "passes if" not in failure.report


async def test_a_rule_for_causes_that_fails_costs_the_cause_and_is_said_once(explorer, monkeypatch):
    monkeypatch.setattr("lab.report.section.cause_of", fail)
    monkeypatch.setattr("lab.search.result.cause_of", fail)
    result = await Hunt.of(Lost(), executions=20).run(explorer)
    (failure,) = result.failures
    assert failure.cause is None
    assert failure.report.count("the lab could not explain this in full") == 1
    assert "LOST UPDATE" in failure.report
    assert "UPDATE account" in failure.report


@pytest.mark.parametrize("where", ["lab.explore.explorer.Comparable.outcome", "lab.explore.nature.difference"])
async def test_without_a_record_there_is_one_sentence_and_no_verdict(explorer, monkeypatch, where):
    monkeypatch.setattr(where, fail)
    with pytest.raises(LabError, match="which is a defect of its own") as caught:
        await Hunt.of(anew(Right), executions=4).run(explorer)
    assert caught.value.exit_status == 3


async def test_a_defect_in_recording_a_statement_is_no_error_of_the_actors(plain, monkeypatch):
    """Nor is it a broken invariant that the actor did not come to its end."""
    monkeypatch.setattr(journal, "Sent", None)
    record = await plain.run(Right(), Order("ann"), recorded=True)
    assert record.outcome.results["ann"].error is not None
    assert (record.findings, record.passed) == ((), False)
    (said,) = record.not_checked
    assert said.startswith(
        "the lab could not record a statement of an actor, which is a defect of its own (TypeError: "
    )
    assert ", lab/postgres/connections/journal.py:" in said


async def test_an_error_of_the_same_kind_in_an_actor_is_its_own(plain):
    """Also one of a wrong argument, which the lab's code in between is the first to read."""

    class Fails(Right):
        @actor
        async def ann(self, session) -> None:
            await session.execute(add(1))
            {}["x"]

        @actor
        async def ben(self, connection) -> None:
            driver = (await connection.get_raw_connection()).driver_connection
            await driver.executemany("UPDATE account SET balance = $1", 5)

    record = await plain.run(Fails(), Order("ann"), recorded=True)
    assert [finding.checker for finding in record.findings] == ["result", "result", "invariant"]
    assert not record.not_checked
