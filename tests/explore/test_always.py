"""Invariants that are to hold always: when they are checked, what is said of them, and that a look disturbs nothing."""

from __future__ import annotations

import contextlib
import functools
import random
import time

import asyncpg
import pytest
from helpers.kit import Account, Bank, Order, add, replays
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

import lab
from lab import actor, always, invariant
from lab.errors import ScenarioError
from lab.explore import Conditions
from lab.model.replay_token import encode, token_of
from lab.report.data import story_data
from lab.report.failure import execution_report
from lab.scenario.declare import invariants_of
from lab.scenario.race import race_of
from lab.schedulers import make_scheduler
from lab.shrink.minimise import minimise

pytestmark = pytest.mark.anyio


async def _total(session: AsyncSession) -> int:
    return await session.scalar(select(func.sum(Account.balance)))


class TwoCommits(Bank):
    """Moves money in two transactions, while another one reads."""

    @actor
    async def alice(self, session: AsyncSession) -> None:
        await session.execute(add(1, -30))
        await session.commit()
        await session.execute(add(2, 30))
        await session.commit()

    @actor
    async def bob(self, session: AsyncSession) -> int:
        return await _total(session)

    @always
    async def no_money_is_missing(self, session: AsyncSession) -> None:
        total = await _total(session)
        assert total == 400, f"the total is {total}"


class AtTheEnd(TwoCommits):
    @invariant
    async def no_money_is_missing(self, session: AsyncSession) -> None:
        assert await _total(session) == 400


async def test_a_state_that_heals_is_found_with_its_step_and_said_to_have_healed(explorer):
    record = await explorer.run(TwoCommits(), Order())
    (finding,) = record.findings
    assert finding.key == ("invariant", "no money is missing")
    assert (finding.step, finding.moment, finding.healed) == (2, "the total is 370", True)
    assert finding.message == "the total is 370, after step #2 (alice's COMMIT); it heals before the end"
    assert not (await explorer.run(AtTheEnd(), Order())).failed


async def test_the_story_marks_the_step_and_the_headline_says_that_it_healed(explorer):
    record = await explorer.run(TwoCommits(), Order())
    lines = execution_report(record).splitlines()
    assert lines[0] == f"INVARIANT BROKEN IN BETWEEN  {record.findings[0].message}"
    mark = lines.index("     ── here: the total is 370 ──")
    assert lines[mark - 1].startswith("  2  COMMIT")
    assert lines[mark + 1].startswith("  3  UPDATE")
    (finding,) = story_data(record)["findings"]
    assert (finding["step"], finding["moment"], finding["healed"]) == (2, "the total is 370", True)


class StaysBroken(TwoCommits):
    @actor
    async def alice(self, session: AsyncSession) -> None:
        for _ in range(2):
            await session.execute(add(1, -30))
            await session.commit()


async def test_only_the_first_broken_moment_is_reported_and_one_that_lasts_did_not_heal(explorer):
    record = await explorer.run(StaysBroken(), Order())
    assert [each.message for each in record.findings] == ["the total is 370, after step #2 (alice's COMMIT)"]
    assert not record.findings[0].healed
    assert execution_report(record).startswith("FAILS ALREADY WITHOUT OVERLAP: NOT A RACE\nINVARIANT BROKEN  ")


class NobodyCommits(Bank):
    @actor(names=("alice", "bob"))
    async def reads(self, session: AsyncSession) -> None:
        await session.execute(add(1))

    @always
    async def there_is_more(self, session: AsyncSession) -> None:
        assert await _total(session) == 401, "it was never there"


async def test_what_is_to_hold_always_is_also_to_hold_at_the_end(explorer):
    (finding,) = (await explorer.run(NobodyCommits(), Order())).findings
    assert (finding.message, finding.step, finding.healed) == ("it was never there", 0, False)


def test_both_decorators_together_are_one_invariant_and_an_override_may_take_it_back():
    class Both(TwoCommits):
        @always
        @invariant
        async def one(self) -> None: ...

        @invariant
        @always
        async def other(self) -> None: ...

    assert {each.name: each.always for each in invariants_of(Both)} == {
        "no money is missing": True,
        "one": True,
        "other": True,
    }
    assert [each.always for each in invariants_of(AtTheEnd)] == [False]


async def test_a_function_that_a_race_is_given_may_hold_always(explorer):
    async def alice(session: AsyncSession) -> None:
        await TwoCommits().alice(session)

    async def bob(session: AsyncSession) -> None:
        await session.execute(add(3))

    async def setup(session: AsyncSession) -> None:
        await Bank().setup(session)

    @always
    async def no_money_is_missing(session: AsyncSession) -> None:
        assert await _total(session) == 400

    race = race_of(
        ("m", "f"), [alice, bob], setup=setup, holds=functools.partial(no_money_is_missing), metadata=Bank.metadata
    )
    (finding,) = (await explorer.run(race, Order())).findings
    assert (finding.name, finding.step) == ("no money is missing", 2)


# ---------------------------------------------------------------------- which COMMITs


async def _session(session):
    await session.execute(add(1))
    await session.commit()


async def _block(session):
    async with session.begin():
        await session.execute(add(1))


async def _connection_block(session):
    async with session.bind.begin() as connection:
        await connection.execute(add(1))


async def _text(session):
    await session.execute(add(1))
    await session.execute(text("COMMIT"))


async def _chained(session):
    await session.execute(add(1))
    await session.execute(text("COMMIT AND CHAIN"))


async def _autocommit(session):
    async with session.bind.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(add(1))


async def _many_in_autocommit(session):
    async with session.bind.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(
            text("UPDATE account SET balance = balance + 1 WHERE id = :id"), [{"id": 1}, {"id": 2}]
        )


async def _driver(session):
    return (await (await session.connection()).get_raw_connection()).driver_connection


async def _by_the_driver(session):
    await (await _driver(session)).execute("UPDATE account SET balance = balance + 1 WHERE id = 1")


async def _with_values_by_the_driver(session):
    await (await _driver(session)).execute("UPDATE account SET balance = balance + $1 WHERE id = 1", 1)


async def _transaction_of_the_driver(session):
    connection = await _driver(session)
    async with connection.transaction():
        await connection.execute("UPDATE account SET balance = balance + 1 WHERE id = 1")


async def _script_of_the_driver(session):
    await (await _driver(session)).execute(
        "BEGIN; UPDATE account SET balance = balance + 1 WHERE id = 1; COMMIT; BEGIN; SELECT 1"
    )


async def _copy(session):
    await (await _driver(session)).copy_records_to_table("account", records=[(9, 1)])


async def _rolled_back(session):
    await session.execute(add(1))
    await session.rollback()


async def _failed(session):
    connection = await _driver(session)
    await connection.execute("BEGIN")
    with contextlib.suppress(asyncpg.DivisionByZeroError):
        await connection.execute("SELECT 1/0")
    await connection.execute("COMMIT")  # it is a ROLLBACK then


async def _left_open(session):
    await session.execute(add(1))


@pytest.mark.parametrize(
    ("work", "commits"),
    [
        *((each, ["COMMIT"]) for each in (_session, _block, _connection_block, _text, _chained)),
        *((each, ["COMMIT"]) for each in (_transaction_of_the_driver, _script_of_the_driver)),
        *(
            (each, ["UPDATE"])
            for each in (_autocommit, _many_in_autocommit, _by_the_driver, _with_values_by_the_driver)
        ),
        (_copy, ["COPY"]),
        *((each, []) for each in (_rolled_back, _failed, _left_open)),
    ],
    ids=lambda each: each.__name__.strip("_") if callable(each) else "",
)
async def test_each_kind_of_commit_is_looked_at_and_nothing_else(explorer, work, commits):
    """The invariant never holds, so it is reported after the first COMMIT; the second actor only waits for it."""

    class Works(Bank):
        allows = ("leak",)  # one script leaves a transaction open

        @actor
        async def alice(self, session: AsyncSession) -> None:
            await work(session)
            await lab.point("done")

        @actor
        async def bob(self) -> None: ...

        @always
        async def nothing_changes(self, session: AsyncSession) -> None:
            before = 400
            assert await _total(session) == before, "it changed"

    record = await explorer.run(Works(), Order())
    assert not record.outcome.results["alice"].error
    found = [each.message for each in record.findings]
    assert found == [f"it changed, after step #{_last(record, each)} (alice's {each})" for each in commits]


def _last(record, word):
    """The number of the step that says so."""
    words = [step.action.text.upper() if step.action.kind == "statement" else "COMMIT" for step in record.trace]
    return next(number for number, each in enumerate(words, 1) if word in each)


# ---------------------------------------------------------------------- nothing is disturbed


class Busy(Bank):
    """Locks that are waited for, time, chance and generated names, in which a look could show."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> tuple[float, float]:
        for number in (1, 2):
            await session.execute(add(number))
            await session.commit()
            async with session.begin(), session.begin_nested():
                await session.execute(add(1))
        return random.random(), time.time()

    @actor
    async def cleo(self, session: AsyncSession) -> int:
        (await session.get_one(Account, 1, with_for_update=True)).balance += 1
        await session.commit()
        return await _total(session)


class Watched(Busy):
    looks = 0

    @always
    async def it_is_looked_at(self, session: AsyncSession) -> None:
        type(self).looks += 1
        await session.get_one(Account, 1)
        await _total(session)


async def test_an_execution_with_looks_is_the_same_as_one_without(plain):
    waits = 0
    for number in range(15):
        without = await plain.run(Busy(), make_scheduler("random", 3), execution=number)
        Watched.looks = 0
        watched = await plain.run(Watched(), make_scheduler("random", 3), execution=number)
        assert Watched.looks == 9 + 1, "after each COMMIT, and at the end"
        assert without.same_as(watched)
        waits += watched.lock_waits
    assert waits


async def test_what_is_found_in_between_replays_and_minimises_to_the_same(explorer):
    scheduler = make_scheduler("random", 5)
    record = await explorer.run(TwoCommits(), scheduler)
    assert record.failed
    assert await replays(explorer, record)
    smallest = await minimise(record, lambda each, **more: explorer.run(TwoCommits(), each, **more))
    assert [each.key for each in smallest.record.findings] == [each.key for each in record.findings]
    assert smallest.record.trace.preemptions == 0
    assert ":invariant." in encode(token_of(smallest.record, ""))


# ---------------------------------------------------------------------- what it may not


class LocksTheTable(Bank):
    @actor
    async def alice(self, session: AsyncSession) -> None:
        async with session.bind.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("SELECT 1"))

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await session.execute(text("LOCK TABLE account IN ACCESS EXCLUSIVE MODE"))
        await session.commit()

    @always
    async def it_never_holds(self, session: AsyncSession) -> None:
        assert await _total(session) == 0, "the total is not 0"


async def test_who_could_not_read_either_is_not_waited_for_and_a_note_says_so(explorer):
    record = await explorer.run(LocksTheTable(), Order("bob alice bob"))
    (note,) = record.notes
    assert note == (
        "'it never holds' was not checked after step #2 (alice's SELECT): somebody had locked a table that it reads, "
        "so nobody could see it then"
    )
    assert [each.step for each in record.findings] == [3]
    assert [each.step for each in (await explorer.run(LocksTheTable(), Order("alice bob bob"))).findings] == [1]


class Writes(TwoCommits):
    @always
    async def no_money_is_missing(self, session: AsyncSession) -> None:
        await session.execute(add(1))


async def test_a_look_can_write_nothing(explorer):
    with pytest.raises(ScenarioError, match=r"no_money_is_missing .* raised .*read-only transaction"):
        await explorer.run(Writes(), Order())


class Raises(TwoCommits):
    @always
    async def no_money_is_missing(self, session: AsyncSession) -> None:
        if await _total(session) != 400:
            raise LookupError("where is it?")


async def test_one_that_fails_in_another_way_is_an_error_of_the_scenario(explorer):
    with pytest.raises(ScenarioError, match="raised LookupError: where is it"):
        await explorer.run(Raises(), Order())


class RaisesAfterAFailure(Raises):
    @actor
    async def bob(self, session: AsyncSession) -> None:
        raise ZeroDivisionError("by itself")


async def test_unless_an_actor_had_failed_as_at_the_end(explorer):
    record = await explorer.run(RaisesAfterAFailure(), Order())
    assert [each.checker for each in record.findings] == ["result", "invariant"]
    assert record.findings[1].message.endswith("where is it?; an invariant judges by assert; bob had failed before")


class WantsTheOutcome(TwoCommits):
    @always
    async def no_money_is_missing(self, outcome) -> None: ...


async def test_the_outcome_is_refused_in_one_sentence(explorer):
    expected = (
        "asks for 'outcome', which is there only at the end, and is @always, so it is checked after each COMMIT; "
        "it can ask for session, connection"
    )
    with pytest.raises(ScenarioError, match=expected):
        await explorer.run(WantsTheOutcome(), Order())


async def test_they_are_skipped_where_only_some_actors_run(explorer):
    assert not (await explorer.run(TwoCommits(), Order(), Conditions(actors=("alice",)))).failed
