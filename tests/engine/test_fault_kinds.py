"""Each kind of fault does what it says: what its victim meets, what the server has done, and that it replays."""

from __future__ import annotations

import pytest
from helpers.kit import Bank, Order, add, replays
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lab import actor
from lab.explore import Conditions
from lab.model.outcome import ResultKind


class Meets(Bank):
    """Alice and bob take accounts 1 and 2, in that order."""

    faults = ("lost-answer", "disconnect", "idle-timeout", "lock-timeout", "slow")

    @actor(names=("alice", "bob"))
    async def work(self, session) -> str:
        await session.execute(add(1))
        await session.execute(add(2))
        await session.commit()
        return "done"


BOTH, ONE, NONE = "(1,102) (2,102)", "(1,101) (2,101)", "(1,100) (2,100)"


@pytest.mark.parametrize(
    ("order", "alice", "bob", "rows"),
    [
        ("alice alice lost-answer@alice", "connection lost", "'done'", BOTH),
        ("alice alice lost-request@alice", "connection lost", "'done'", ONE),
        ("alice bob alice lost-answer@alice", "connection lost", "'done'", BOTH),
        ("alice bob alice lost-request@alice", "connection lost", "'done'", ONE),
        ("alice disconnect@alice", "connection lost", "'done'", ONE),
        ("alice bob disconnect@bob", "'done'", "connection lost", ONE),
        ("alice bob alice alice disconnect@bob", "'done'", "connection lost", ONE),
        ("alice idle-timeout@alice", "connection lost", "'done'", ONE),
        ("alice bob idle-timeout@alice bob", "connection lost", "'done'", ONE),
        ("alice bob lock-timeout@bob", "'done'", "canceling statement due to lock timeout", ONE),
        ("alice slow@alice", "'done'", "'done'", BOTH),
    ],
)
async def test_a_fault_does_what_it_says(explorer, order, alice, bob, rows):
    record = await explorer.run(Meets(), Order(order))
    results = record.outcome.results
    assert alice in results["alice"].text
    assert bob in results["bob"].text
    assert " ".join(record.outcome.rows["account"][:2]) == rows
    assert not record.failed
    assert await replays(explorer, record, 2)


@pytest.mark.parametrize("kind", ["lost-answer", "lost-request"])
async def test_an_actor_cannot_tell_in_which_world_its_commit_was_lost(explorer, kind):
    """The driver's own error, that of a connection which is cut under way."""
    record = await explorer.run(Meets(), Order(f"alice alice {kind}@alice"))
    error = record.outcome.results["alice"].error
    assert isinstance(error, DBAPIError)
    assert type(error.orig.__cause__).__name__ == "ConnectionDoesNotExistError"
    assert "connection was closed in the middle of operation" in str(error)


async def test_what_a_lost_answer_committed_is_in_the_history_as_committed(explorer):
    """Else who reads it would have read what never was."""
    for kind, committed in (("lost-answer", True), ("lost-request", False)):
        record = await explorer.run(
            Meets(), Order(f"alice alice {kind}@alice"), Conditions(recorded=True, checks=("isolation",))
        )
        assert not record.failed
        mine = [each for each in record.history.transactions if each.actor == "alice"]
        assert [each.committed for each in mine] == [committed]


async def test_a_server_says_why_it_ended_an_idle_session(explorer):
    """For real: a transaction that fails leaves the words of the server behind, 25P03."""
    seen = []

    class Listens(Meets):
        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            driver = (await (await session.connection()).get_raw_connection()).driver_connection
            await session.execute(add(1))
            wire = driver._wire._protocol
            try:
                await session.execute(add(2))
            except DBAPIError:
                seen.append(wire.is_connected())
                raise
            await session.commit()

    record = await explorer.run(Listens(), Order("alice idle-timeout@alice alice"))
    assert record.outcome.results["alice"].kind is ResultKind.ABORTED
    assert seen == [False]


async def test_a_refused_wait_leaves_a_transaction_that_can_be_rolled_back(explorer):
    class Goes(Meets):
        @actor(names=("alice", "bob"))
        async def work(self, session) -> str:
            try:
                await session.execute(add(1))
            except DBAPIError as error:
                await session.rollback()
                return str(error.orig.sqlstate)
            await session.commit()
            return "done"

    record = await explorer.run(Goes(), Order("alice bob lock-timeout@bob"))
    assert record.outcome.results["bob"].text == "'55P03'"
    assert await replays(explorer, record, 2)


async def test_a_slow_statement_lets_time_pass_on_both_clocks_and_fires_timeouts(explorer):
    import asyncio  # noqa: PLC0415
    import time  # noqa: PLC0415

    class Clocked(Meets):
        @actor
        async def work(self, session) -> int:
            before = time.time()
            await session.execute(add(1))
            await session.commit()
            return round(time.time() - before)

        @actor
        async def other(self, session) -> str:
            try:
                async with asyncio.timeout(5):
                    await session.execute(add(2))
                    await session.execute(text("SELECT 1"))
            except TimeoutError:
                return "timeout"
            return "in time"

    record = await explorer.run(Clocked(), Order("other slow@work"))
    assert {name: result.text for name, result in record.outcome.results.items()} == {
        "work": "60",
        "other": "'timeout'",
    }
    assert await replays(explorer, record, 2)


async def test_a_hunt_for_lost_answers_searches_both_worlds(explorer):
    record = await explorer.run(Bank2(), Order(), Conditions(added_faults=("lost-answer",)))
    offered = {str(each.fault) for step in record.trace for each in step.alternatives if hasattr(each, "fault")}
    assert offered == {"lost-answer", "lost-request"}


class Bank2(Meets):
    faults = ()
