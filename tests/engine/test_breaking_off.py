"""Executions that do not end well leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import os
import signal

import pytest
from helpers.kit import Bank, Order, add, lock, told
from sqlalchemy import text

import lab
from lab import actor, invariant
from lab.errors import ScenarioError, ServerError, UncontrolledError
from lab.explore import Explorer
from lab.model.outcome import Ending, ResultKind
from lab.postgres.server.embedded import embedded_server
from lab.schedulers import make_scheduler


class Work(Bank):
    @actor(names=("alice", "bob"))
    async def work(self, session) -> None:
        await session.execute(add(1))
        await session.execute(add(2))
        await session.commit()


class Endless(Bank):
    @actor
    async def alice(self, session) -> None:
        await session.execute(add(1))
        while True:
            await lab.point("again")

    @actor
    async def bob(self, session) -> None:
        await session.execute(add(2))
        await session.commit()


async def _works(explorer) -> None:
    record = await explorer.run(Work(), Order("alice alice bob"))
    assert record.outcome.rows["account"][:2] == ("(1,102)", "(2,102)")
    assert told(record.trace)[2].endswith("(B)")
    assert not record.failed


async def test_an_endless_actor_meets_the_step_limit(explorer):
    record = await explorer.run(Endless(), Order("bob bob"), step_limit=50)
    assert record.outcome.ending is Ending.STEP_LIMIT
    assert len(record.trace) == 50
    assert record.outcome.results["alice"].kind is ResultKind.UNFINISHED
    assert record.outcome.results["bob"].kind is ResultKind.RETURNED
    assert record.outcome.rows["account"][:2] == ("(1,100)", "(2,101)")
    await _works(explorer)


async def test_actors_that_are_parked_in_the_close_of_their_sessions_end_as_well(explorer, monkeypatch):
    """SQLAlchemy waits for that close, however often the actor is cancelled."""
    monkeypatch.setattr("lab.engine.runner.CLOSING_SECONDS", 1.0)

    class LeavesOpen(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            await session.execute(text("SELECT 1"))

    record = await explorer.run(LeavesOpen(), Order("alice bob"), step_limit=2)
    assert record.outcome.ending is Ending.STEP_LIMIT
    await _works(explorer)


async def test_an_actor_that_swallows_its_cancellation_does_not_hold_up_the_lab(explorer, monkeypatch):
    monkeypatch.setattr("lab.engine.runner.CLOSING_SECONDS", 0.1)
    released = asyncio.Event()

    class Stubborn(Bank):
        @actor
        async def alice(self) -> None:
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    continue

        @actor
        async def bob(self) -> None: ...

    with pytest.raises(UncontrolledError, match=r"alice did not end within .*test_breaking_off\.py"):
        await explorer.run(Stubborn(), Order())
    released.set()
    await asyncio.sleep(0)
    await _works(explorer)


class Refuses(Order):
    """Raises at a step; the actors must be led to their end none the less."""

    def __init__(self, names: str, error: BaseException) -> None:
        super().__init__(names)
        self.error = error
        self.asked = 0

    def choose(self, choices) -> int:
        self.asked += 1
        if choices.step < len(self._decisions):
            return super().choose(choices)
        raise self.error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt("stop")])
async def test_what_a_scheduler_raises_comes_through_and_the_actors_end(explorer, error):
    ended = []

    class Ends(Work):
        @actor
        async def carol(self, session) -> None:
            await session.execute(lock(1))
            await session.rollback()
            ended.append("carol")

    scheduler = Refuses("alice bob carol", error)
    with pytest.raises(type(error)) as raised:
        await explorer.run(Ends(), scheduler)
    assert raised.value is error
    assert ended == ["carol"] * 3, "twice when the scenario was learnt"
    assert scheduler.asked == 4, "a scheduler that refused is not asked again"
    await _works(explorer)


async def test_a_scheduler_that_raises_while_everybody_is_stalled_comes_through(explorer):
    class Stalls(Bank):
        @actor(names=("alice", "bob"))
        async def work(self) -> None:
            await lab.point("one")
            await asyncio.Event().wait()

    with pytest.raises(ValueError, match="no"):
        await explorer.run(Stalls(), Refuses("alice", ValueError("no")))
    await _works(explorer)


async def test_a_decision_out_of_range_is_an_error_and_leaves_the_lab_usable(explorer):
    class Wild(Order):
        def choose(self, choices) -> int:
            return len(choices.alternatives)

    with pytest.raises(AssertionError):
        await explorer.run(Work(), Wild())
    await _works(explorer)


class Leaks(Bank):
    """Alice keeps a session open, with locks, beyond her end."""

    @actor
    async def alice(self, sessions) -> None:
        session = sessions()
        _LEAKED.append(session)
        await session.execute(add(1))

    @actor
    async def bob(self, session) -> None:
        await session.execute(add(2))
        await session.commit()


_LEAKED: list[object] = []


async def _forget_leaks() -> None:
    for session in _LEAKED:
        await session.invalidate()  # its connection is gone
    _LEAKED.clear()


async def test_a_leaked_transaction_ends_with_its_execution(explorer):
    record = await explorer.run(Leaks(), Order())
    assert record.outcome.rows["account"][:2] == ("(1,100)", "(2,101)")
    await _works(explorer)
    await _forget_leaks()
    await _works(explorer)


async def test_a_leaked_transaction_ends_although_the_scheduler_raised(explorer):
    with pytest.raises(ValueError, match="no"):
        await explorer.run(Leaks(), Refuses("alice", ValueError("no")))
    await asyncio.wait_for(_works(explorer), 20)
    await _forget_leaks()


async def test_a_waiter_behind_a_leaked_lock_is_a_stall_that_names_the_leak(explorer):
    class Behind(Leaks):
        @actor
        async def bob(self, session) -> None:
            await session.execute(add(1))

    record = await explorer.run(Behind(), Order("alice bob"))
    assert record.outcome.ending is Ending.STALLED
    assert [(stall.actor, stall.lock.holders) for stall in record.stalls] == [("bob", ("alice",))]
    await _works(explorer)
    await _forget_leaks()


async def test_an_error_in_an_actor_is_a_finding_and_its_locks_go(explorer):
    class Fails(Bank):
        @actor
        async def alice(self, session) -> None:
            await session.execute(add(1))
            raise LookupError("lost")

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(1))
            await session.commit()

    record = await explorer.run(Fails(), Order("alice bob"))
    assert record.outcome.results["alice"].text == "LookupError: lost"
    assert record.outcome.rows["account"][0] == "(1,101)"
    assert [finding.name for finding in record.findings] == ["alice ends without an error"]


async def test_a_failing_setup_says_why(explorer):
    class Wrong(Work):
        async def setup(self, session) -> None:
            await session.execute(text("SELECT 1 / 0"))

    for _ in range(2):
        with pytest.raises(ScenarioError, match=r"the setup of .*Wrong failed: DBAPIError: .*division by zero"):
            await explorer.run(Wrong(), Order())
    await _works(explorer)


async def test_an_invariant_that_crashes_is_an_error_and_not_a_finding(explorer):
    class Crashes(Work):
        @invariant
        async def holds(self, session) -> None:
            raise KeyError("typo")

    with pytest.raises(ScenarioError, match=r"the invariant holds of .*Crashes raised KeyError"):
        await explorer.run(Crashes(), Order())
    await _works(explorer)


async def test_a_server_that_dies_in_mid_execution_is_an_error_and_not_a_finding():
    with embedded_server() as server:
        explorer = Explorer(server)

        class Kills(Work):
            @actor
            async def carol(self, session) -> None:
                await lab.point("kill")
                os.kill(server.pid, signal.SIGQUIT)
                await session.execute(lock(3))

        with pytest.raises(ServerError, match="embedded PostgreSQL 18"):
            await asyncio.wait_for(explorer.run(Kills(), Order("alice bob carol carol")), 30)
        await asyncio.wait_for(explorer.aclose(), 30)
    gc.collect()


async def test_many_executions_leave_no_connections_behind(explorer, server):
    scheduler = make_scheduler("random", 1)
    await _works(explorer)

    async def connections() -> int:
        cluster = await explorer.open()
        query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        return await cluster._admin.fetchval(query)

    before = await connections()
    for number in range(30):
        await explorer.run(Endless() if number % 10 == 0 else Work(), scheduler, execution=number, step_limit=40)
    await _works(explorer)
    assert await connections() <= before + 1
