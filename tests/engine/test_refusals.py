"""The server refuses what a fault asks it to refuse: for real, and with the error that the driver raises then."""

from __future__ import annotations

import asyncio

import pytest
from helpers.kit import Bank, Order, add, replays, told
from sqlalchemy.exc import DBAPIError

from lab import actor, no_deadlock
from lab.engine.faults import REFUSALS
from lab.errors import ScenarioError
from lab.model.outcome import Ending, ResultKind
from lab.report.failure import execution_report
from lab.schedulers import make_scheduler

pytestmark = pytest.mark.anyio


class Refused(Bank):
    """Bob is refused with rows of his own locked, for one of which alice waits."""

    faults = tuple(each.name for each in REFUSALS.values())

    @actor
    async def alice(self, session) -> None:
        await session.execute(add(1))
        await session.commit()

    @actor
    async def bob(self, session) -> str:
        await session.execute(add(1, 10))
        try:
            await session.execute(add(2, 10))
        except DBAPIError as error:
            await session.rollback()
            return f"{type(error.orig.__cause__).__name__} {error.orig.sqlstate} {error.orig.__cause__.message}"
        await session.commit()
        return "done"


TOLD = {
    "40001": "SerializationError 40001 could not serialize access due to concurrent update",
    "40P01": "DeadlockDetectedError 40P01 deadlock detected",
    "57014": "QueryCanceledError 57014 canceling statement due to statement timeout",
    "53100": "DiskFullError 53100 could not extend file: No space left on device",
}


@pytest.mark.parametrize("state", REFUSALS)
async def test_a_refused_statement_aborts_the_transaction_on_the_server(explorer, state):
    """What it did is gone, its locks are free, and the statement itself never ran."""
    record = await explorer.run(Refused(), Order(f"bob alice {REFUSALS[state].name}@bob bob"))
    assert record.outcome.results["bob"].value == TOLD[state]
    assert record.outcome.rows["account"][:2] == ("(1,101)", "(2,100)")
    assert told(record.trace)[3].startswith("bob UPDATE account SET balance = balance + 10 WHERE id = 2")
    assert record.trace.steps[3].result.error == state
    assert "alice ... UPDATE account SET balance = balance + 1 WHERE id = 1" in told(record.trace)
    assert not record.failed
    assert record.outcome.ending is Ending.COMPLETED
    assert await replays(explorer, record, 5)


class TimesOut(Refused):
    """Bob's timeout may fire after it was decided that its statement is refused, and before it goes on."""

    @actor
    async def bob(self, session) -> str:
        try:
            async with asyncio.timeout(5):
                await session.execute(add(2, 10))
        except TimeoutError:
            await session.rollback()
        await session.execute(add(3, 10))
        await session.commit()
        return "done"


async def test_who_does_not_come_to_its_statement_is_not_refused_another(explorer):
    record = await explorer.run(TimesOut(), Order("deadlock@bob time@bob"))
    assert record.outcome.results["bob"].value == "done"
    assert [step.result.error for step in record.trace if step.result and step.result.error] == []
    assert await replays(explorer, record, 5)


class AtCommit(Refused):
    faults = ("serialization-failure",)

    @actor
    async def bob(self, session) -> None:
        await session.execute(add(1, 10))
        await session.commit()


async def test_a_refused_commit_is_rolled_back(explorer):
    record = await explorer.run(AtCommit(), Order("bob serialization-failure@bob bob"))
    assert record.outcome.results["bob"].kind is ResultKind.ABORTED
    assert record.outcome.results["bob"].sqlstate == "40001"
    assert record.outcome.rows["account"][0] == "(1,101)"
    assert not record.failed
    assert await replays(explorer, record, 5)


class NoDeadlocks(Refused):
    none_of_ours = no_deadlock()


async def test_a_deadlock_of_nobody_here_is_none_of_the_scenarios(explorer):
    record = await explorer.run(NoDeadlocks(), Order("bob deadlock@bob bob"))
    assert record.outcome.results["bob"].value == TOLD["40P01"]
    assert not record.failed


class InTasks(Refused):
    """Bob's statements are sent by tasks that it starts and waits for, as an endpoint behind a middleware does."""

    @actor
    async def bob(self, session) -> str:
        try:
            await asyncio.create_task(session.execute(add(1, 10)))
        except DBAPIError as error:
            await session.rollback()
            return str(error.orig.sqlstate)
        await asyncio.create_task(session.commit())
        return "done"


@pytest.mark.parametrize("state", REFUSALS)
async def test_the_statement_of_a_task_is_refused_too(explorer, state):
    record = await explorer.run(InTasks(), Order(f"{REFUSALS[state].name}@bob bob/1"))
    assert record.outcome.results["bob"].value == state
    assert record.outcome.rows["account"][0] == "(1,101)"
    assert await replays(explorer, record, 5)


class InDoubt(InTasks):
    faults = ("lost-answer", "lock-timeout", "slow", "idle-timeout")


@pytest.mark.parametrize(
    ("order", "rest"),
    [
        ("bob/1 lost-answer@bob bob/2", "(1,111)"),
        ("bob/1 lost-request@bob bob/2", "(1,101)"),
        ("alice bob/1 lock-timeout@bob bob/1", "(1,101)"),
        ("slow@bob bob/1", "(1,111)"),
        ("bob/1 idle-timeout@bob bob/2", "(1,101)"),
    ],
)
async def test_so_are_other_faults_of_tasks(explorer, order, rest):
    record = await explorer.run(InDoubt(), Order(order))
    assert record.trace.faults == 1
    assert not record.failed, execution_report(record)
    assert record.outcome.rows["account"][0] == rest
    assert await replays(explorer, record, 5)


async def test_a_deadlock_of_nobody_here_has_no_cycle_to_show(explorer):
    record = await explorer.run(Refused(), Order("bob alice deadlock@bob bob"))
    assert record.deadlocks == ()
    assert "each waits for the next" not in execution_report(record)
    assert "── fault: the server breaks a deadlock by refusing bob ──" in execution_report(record)


class Surviving(Bank):
    """Bob is refused unasked, since he says that he survives it; he does not, and ann says nothing."""

    @actor
    async def ann(self, session) -> None:
        await session.execute(add(3))
        await session.commit()

    @actor(survives=("40001",))
    async def bob(self, session) -> None:
        await session.execute(add(1))
        await session.commit()


async def test_who_survives_is_refused_unasked_and_nobody_else(explorer):
    record = await explorer.run(Surviving(), Order("ann serialization-failure@bob"))
    faults = {each for step in record.trace for each in map(str, step.alternatives) if "Strike" in each}
    assert faults == {"Strike(fault='serialization-failure', actor='bob')"}
    assert [finding.name for finding in record.findings] == ["bob tries again after 40001"]
    assert "bob was refused once" in record.findings[0].message


async def test_serial_runs_and_those_without_faults_refuse_nobody(explorer):
    record = await explorer.run(Surviving(), make_scheduler("serial", 0), faults=False)
    assert not record.failed
    assert not any("Strike" in str(each) for step in record.trace for each in step.alternatives)


class Unknown(Surviving):
    @actor(survives=("08006",))
    async def bob(self, session) -> None:
        """Nobody here can refuse with that."""


class NoTuple(Surviving):
    @actor(survives="40001")
    async def bob(self, session) -> None:
        """A text is a tuple of characters."""


class Patient(Surviving):
    @actor(attempts=3)
    async def bob(self, session) -> None:
        """After what?"""


class Hasty(Surviving):
    @actor(survives=("40001",), attempts=1)
    async def bob(self, session) -> None:
        """Tries once."""


@pytest.mark.parametrize(
    ("cls", "sentence"),
    [
        (Unknown, "survives '08006'; known are 40001, 40P01, 53100, 55P03, 57014"),
        (NoTuple, "survives '40001'; it is a tuple of SQLSTATEs"),
        (Patient, "states its attempts; say after which SQLSTATEs it tries again, by survives"),
        (Hasty, "states 1 attempts; who tries again needs two or more"),
    ],
)
async def test_what_cannot_be_survived_is_said_in_a_sentence(explorer, cls, sentence):
    with pytest.raises(ScenarioError, match=sentence):
        await explorer.run(cls(), Order())
