"""A refusal of the server is an abort however deep the application wrapped it; a mistake beside it is none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from helpers.kit import Account, Bank, Order, add, lock
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from lab import actor, invariant
from lab.errors import ScenarioError
from lab.model.outcome import Ending
from lab.model.remedy import Remedy
from lab.report.failure import execution_report


class RepositoryError(Exception):
    pass


def _from(error):
    raise RepositoryError("could not update") from error


def _while_handling(error):
    raise RepositoryError("could not update")


def _without_context(error):
    raise RepositoryError("could not update") from None


def _twice(error):
    try:
        _from(error)
    except RepositoryError:
        raise RuntimeError("the request failed")  # noqa: B904 - as people write it


def _in_a_group(error):
    raise ExceptionGroup("several", [RepositoryError("x")]) from error


def _as_a_group(error):
    raise ExceptionGroup("several", [error])


WRAPS = [_from, _while_handling, _without_context, _twice, _as_a_group]


def wrapped(wrap, statement, isolation="READ COMMITTED"):
    """Two actors that read, write by the statements given for each, and wrap what the server says."""

    @dataclass(frozen=True)
    class Wraps(Bank):
        @actor(names=("alice", "bob"), isolation=isolation)
        async def work(self, session, name) -> None:
            try:
                await session.execute(text("SELECT * FROM account"))
                for each in statement[name]:
                    await session.execute(each)
                await session.commit()
            except DBAPIError as error:
                wrap(error)

    return Wraps()


SAME = {"alice": [add(1)], "bob": [add(1)]}
CROSSED = {"alice": [add(1), add(2)], "bob": [add(2), add(1)]}
NOWAIT = {"alice": [lock(1, "UPDATE NOWAIT")], "bob": [lock(1, "UPDATE NOWAIT")]}


@pytest.mark.parametrize("wrap", WRAPS)
async def test_a_wrapped_serialization_failure_is_an_abort(explorer, wrap):
    record = await explorer.run(wrapped(wrap, SAME, "REPEATABLE READ"), Order("alice bob alice alice"))
    assert not record.findings
    assert record.outcome.results["bob"].aborted
    assert record.outcome.results["bob"].sqlstate == "40001"


async def test_a_wrapped_deadlock_is_an_abort_and_ends_the_execution_as_one(explorer):
    record = await explorer.run(wrapped(_while_handling, CROSSED), Order("alice bob alice bob alice bob"))
    assert not record.findings
    assert record.outcome.ending is Ending.DEADLOCKED
    assert [result.sqlstate for result in record.outcome.results.values() if result.aborted] == ["40P01"]


async def test_a_wrapped_lock_that_is_not_available_is_an_abort(explorer):
    record = await explorer.run(wrapped(_twice, NOWAIT), Order("alice bob alice bob"))
    assert not record.findings
    assert record.outcome.results["bob"].sqlstate == "55P03"


def _by_mistake(error):
    return error.no_such_attribute


def _after_another_answer(error):
    raise DBAPIError("INSERT", {}, _Refused()) from error


class _Refused(Exception):
    sqlstate = "23505"


def _beside_another(error):
    raise ExceptionGroup("several", [error, ValueError("of its own")])


@pytest.mark.parametrize("wrap", [_by_mistake, _after_another_answer, _beside_another, _in_a_group])
async def test_what_goes_wrong_besides_is_no_abort(explorer, wrap):
    record = await explorer.run(wrapped(wrap, SAME, "REPEATABLE READ"), Order("alice bob alice alice"))
    assert [finding.checker for finding in record.findings] == ["result"]


async def test_a_timeout_while_a_refusal_is_handled_is_no_abort(explorer):
    async def wait():
        await asyncio.wait_for(asyncio.Event().wait(), 1)

    @dataclass(frozen=True)
    class Waits(Bank):
        @actor(names=("alice", "bob"), isolation="REPEATABLE READ")
        async def work(self, session) -> None:
            try:
                await session.execute(text("SELECT * FROM account"))
                await session.execute(add(1))
                await session.commit()
            except DBAPIError:
                await wait()

    record = await explorer.run(Waits(), Order("alice bob alice alice"))
    assert [finding.name for finding in record.findings] == ["bob ends without an error"]


@dataclass(frozen=True)
class _Fails(Bank):
    @actor
    async def alice(self, session) -> int:
        await session.execute(add(1))
        await session.commit()
        raise ValueError("alice fails")

    @actor
    async def bob(self, session) -> int:
        return await session.scalar(select(Account.balance).where(Account.id == 1))

    @invariant
    async def the_sum_is_right(self, outcome) -> None:
        assert outcome.results["alice"].value + outcome.results["bob"].value == 200


async def test_an_error_in_an_invariant_comes_behind_those_of_the_actors(explorer):
    record = await explorer.run(_Fails(), Order())
    assert [finding.checker for finding in record.findings] == ["result", "invariant"]
    report = execution_report(record)
    assert report.index("alice fails") < report.index("the_sum_is_right") < report.index("alice had failed before")


async def test_an_error_in_an_invariant_names_the_actors_that_were_refused_first(explorer):
    class Refused(_Fails):
        @actor(allows=(ValueError,))
        async def alice(self, session) -> int:
            raise ValueError("alice is refused")

    with pytest.raises(ScenarioError, match=r"^alice raised: ValueError: alice is refused; then the invariant"):
        await explorer.run(Refused(), Order())


async def test_a_retry_loop_takes_a_wrapped_refusal_for_one(explorer):
    scenario, remedy = wrapped(_from, SAME, "REPEATABLE READ"), Remedy("retries", attempts=3)
    record = await explorer.run(scenario, Order("alice bob alice alice"), remedy=remedy)
    assert record.outcome.committed == ("alice", "bob")
    assert record.applied.retries == {"40001": 1}
