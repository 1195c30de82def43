"""Faults are decisions: they strike whoever they are given to, at any rest, and replay and shrink like a switch."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from helpers.decided import decided, said
from helpers.kit import Bank, Order, add, lock, replays, told
from hypothesis import HealthCheck, find, settings
from sqlalchemy import MetaData, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from lab import actor, invariant
from lab.errors import Divergence, ScenarioError, TokenError, UsageError
from lab.explore import Explorer
from lab.explore.conditions import AS_IT_STANDS
from lab.model.decision import Go, Strike
from lab.model.outcome import Ending, ResultKind
from lab.model.replay_token import decode, encode, scenario_of, token_for
from lab.model.schedule import Schedule
from lab.report.failure import execution_report
from lab.schedulers import make_scheduler
from lab.schedulers.drawn import schedules
from lab.schedulers.replay import Replay
from lab.shrink.minimise import minimise

KINDS = ("cancel", "kill", "crash")
again = pytest.mark.parametrize("times", [4, pytest.param(20, marks=pytest.mark.long)])
"""How often an execution is replayed."""


def fault(kind: str, victim: str = "bob") -> str:
    return f"{kind}@{'server' if kind == 'crash' else victim}"


def struck_text(kind: str) -> str:
    return "CancelledError" if kind == "cancel" else "connection lost"


class Struck(Bank):
    """Alice and bob meet at account 1; bob is the one that is struck."""

    faults = KINDS

    @actor
    async def alice(self, session) -> str:
        await session.execute(add(1))
        await session.execute(add(2))
        await session.commit()
        return "done"

    @actor
    async def bob(self, session) -> str:
        await session.execute(add(3))
        await session.execute(add(1, 10))
        await session.commit()
        return "done"


class Nested(Struck):
    @actor
    async def bob(self, session) -> str:
        async with session.begin():
            await session.execute(add(3))
            async with session.begin_nested():
                await session.execute(add(1, 10))
        return "done"


class Sleeps(Struck):
    @actor
    async def bob(self, session) -> str:
        await session.execute(add(3))
        await asyncio.sleep(3600)
        await session.commit()
        return "done"


class Stalls(Struck):
    """Bob waits for an asyncio lock that alice holds while she works."""

    @actor
    async def alice(self, session) -> str:
        async with _of_this_loop():
            return await super().alice(session)

    @actor
    async def bob(self, session) -> str:
        await session.execute(add(3))
        async with _of_this_loop():
            await session.commit()
        return "done"


_LOCKS: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}


def _of_this_loop() -> asyncio.Lock:
    return _LOCKS.setdefault(asyncio.get_running_loop(), asyncio.Lock())


STATES = {
    "parked": (Struck, "alice bob {}"),
    "waiting, frozen": (Struck, "alice bob bob {}"),
    "granted, not yet woken": (Struck, "alice bob bob alice alice {}"),
    "stalled": (Stalls, "alice bob {}"),
    "asleep": (Sleeps, "alice bob {}"),
    "in a savepoint, waiting": (Nested, "alice bob bob bob {}"),
    "in a savepoint, granted": (Nested, "alice bob bob bob alice alice {}"),
}


@again
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", STATES)
async def test_a_fault_strikes_an_actor_in_any_state_and_replays(explorer, kind, state, times):
    """What bob did is gone, what alice did stays unless the whole server crashed before her commit."""
    cls, order = STATES[state]
    record = await explorer.run(cls(), Order(order.format(fault(kind))))
    results = record.outcome.results
    assert record.outcome.ending is Ending.COMPLETED
    assert results["bob"].kind is ResultKind.ABORTED
    assert results["bob"].text == struck_text(kind)
    alice_is_done = "granted" in state or kind != "crash"
    assert results["alice"].text == ("'done'" if alice_is_done else "connection lost")
    assert record.outcome.rows["account"] == (
        ("(1,101)", "(2,101)", "(3,100)", "(4,100)") if alice_is_done else ("(1,100)", "(2,100)", "(3,100)", "(4,100)")
    )
    assert not record.failed
    assert record.trace.faults == 1
    assert await replays(explorer, record, times)


async def test_the_story_names_the_fault_as_a_step_of_nobody(explorer):
    record = await explorer.run(Struck(), Order("alice bob kill@bob"))
    assert "3  ── fault: the connection of bob is killed ──" in execution_report(record)
    assert told(record.trace)[2] == "kill@bob fault the connection of bob is killed"
    assert record.trace.preemptions == 1, "alice gave way to bob; a fault takes no turn"


async def test_an_actor_without_a_connection_cannot_lose_it(explorer):
    record = await explorer.run(Struck(), Order("alice"))
    first, second = record.trace.steps[:2]
    assert said(first.alternatives) == ("alice", "bob", "cancel@alice", "cancel@bob", "crash@server")
    assert said(second.alternatives) == ("alice", "bob", "cancel@alice", "cancel@bob", "kill@alice", "crash@server")


async def test_what_can_strike_does_not_depend_on_the_execution_before(explorer):
    """SQLAlchemy gives up a whole pool when one of its connections is lost; the next execution must not notice."""

    class OwnConnection(Struck):
        faults = ("kill",)

    quiet = await explorer.run(OwnConnection(), Order("alice bob bob alice alice"))
    for _ in range(3):
        await explorer.run(OwnConnection(), Order("alice bob kill@bob bob"))
        again = await explorer.run(OwnConnection(), Order("alice bob bob alice alice"))
        assert [step.alternatives for step in again.trace] == [step.alternatives for step in quiet.trace]
        assert again.same_as(quiet)


# ------------------------------------------------------------------ recovering


class Retries(Bank):
    """Alice does the work again when her connection was lost."""

    faults = ("kill", "crash")

    async def work(self, sessions, account: int) -> int:
        for attempt in (1, 2, 3):
            try:
                async with sessions.begin() as session:
                    await session.execute(add(account))
                    await session.execute(add(account + 2))
                    return attempt
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
        raise AssertionError("one fault, two failures")

    @actor
    async def alice(self, sessions) -> int:
        return await self.work(sessions, 1)

    @actor
    async def bob(self, sessions) -> int:
        return await self.work(sessions, 2)


@again
@pytest.mark.parametrize(
    ("struck", "attempts"), [("kill@alice", ("2", "1")), ("crash@server", ("2", "2"))], ids=["kill", "crash"]
)
async def test_an_actor_that_connects_again_succeeds(explorer, struck, attempts, times):
    record = await explorer.run(Retries(), Order(f"alice bob alice {struck}"))
    assert tuple(result.text for result in record.outcome.results.values()) == attempts
    assert record.outcome.rows["account"] == ("(1,101)", "(2,101)", "(3,101)", "(4,101)")
    assert not record.failed
    assert await replays(explorer, record, times)


@pytest.mark.parametrize("kinds", [("kill",), ("crash",), ("cancel", "kill")])
async def test_a_retried_transaction_is_done_once_wherever_the_fault_strikes(explorer, kinds):
    class Anywhere(Retries):
        faults = kinds

        @invariant
        async def who_returned_wrote_once(self, session, outcome):
            rows = (await session.scalars(text("SELECT balance FROM account ORDER BY id"))).all()
            for name, first in (("alice", 0), ("bob", 1)):
                # A cancellation that strikes in COMMIT does not stop it: SQLAlchemy shields the end of a session.
                expected = {101} if outcome.results[name].returned else {100, 101}
                assert rows[first] == rows[first + 2], (name, rows)
                assert rows[first] in expected, (name, rows)

    scheduler = make_scheduler("random", 5)
    struck = 0
    for number in range(24):
        record = await explorer.run(Anywhere(), scheduler, execution=number)
        assert not record.failed, execution_report(record)
        struck += bool(record.trace.faults)
        if record.trace.faults and number % 4 == 0:
            assert await replays(explorer, record, 1)
    # With 8 points or more and 0.15 a point, an execution escapes with 0.27 or less; of 24, 12 do with p < 0.02.
    assert struck > 12


# ------------------------------------------------------------------ tasks and engines of the application's own


class Parallel(Bank):
    """Alice works in two tasks of hers."""

    faults = KINDS

    @actor
    async def alice(self, sessions) -> str:
        async with asyncio.TaskGroup() as group:
            for account in (1, 2):
                group.create_task(self.one(sessions, account))
        return "done"

    async def one(self, sessions, account: int) -> None:
        async with sessions.begin() as session:
            await session.execute(add(account))
            await session.execute(lock(account))

    @actor
    async def bob(self, session) -> str:
        await session.execute(add(3))
        await session.commit()
        return "done"


@again
@pytest.mark.parametrize("kind", KINDS)
async def test_a_fault_strikes_an_actor_with_its_tasks(explorer, kind, times):
    noticed = "bob alice/2" if kind == "kill" else "bob"  # the session that was used last is the one that is killed
    record = await explorer.run(Parallel(), Order(f"alice/1 alice/2 bob {fault(kind, 'alice')} {noticed}"))
    results, rows = record.outcome.results, record.outcome.rows["account"]
    assert results["alice"].kind is ResultKind.ABORTED
    assert results["alice"].text == struck_text(kind)
    assert rows[:3] == ("(1,100)", "(2,100)", "(3,101)" if kind != "crash" else "(3,100)")
    assert not record.failed
    assert await replays(explorer, record, times)


@again
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pool_size", [1, 2])
async def test_a_fault_reaches_the_application_s_own_engine(explorer, kind, pool_size, times):
    engine = create_async_engine(
        "postgresql+asyncpg://nobody@nowhere.invalid/none", pool_size=pool_size, max_overflow=0
    )

    class Watched(Bank):
        faults = KINDS
        watch = (engine,)

        async def work(self, account: int) -> str:
            async with AsyncSession(engine) as session, session.begin():
                await session.execute(add(account))
                await session.execute(lock(account))
            return "done"

        @actor
        async def alice(self) -> str:
            return await self.work(1)

        @actor
        async def bob(self) -> str:
            return await self.work(2)

    record = await explorer.run(Watched(), Order(f"alice alice {fault(kind, 'alice')}"))
    results = record.outcome.results
    assert results["alice"].text == struck_text(kind)
    lost_his = kind == "crash" and pool_size == 2  # with a pool of one he still stands in its queue
    assert results["bob"].text == ("connection lost" if lost_his else "'done'")
    assert not record.failed
    assert await replays(explorer, record, times)
    await engine.dispose()


# ------------------------------------------------------------------ how many, and which


async def test_no_fault_strikes_where_the_scenario_names_none(explorer):
    class Safe(Struck):
        faults = ()

    scheduler = make_scheduler("random", 1)
    for number in range(20):
        record = await explorer.run(Safe(), scheduler, execution=number)
        assert all(isinstance(each, Go) for step in record.trace for each in step.alternatives)


@pytest.mark.parametrize("most", [0, 1, 2, 3])
async def test_at_most_as_many_faults_strike_as_the_scenario_says(explorer, most):
    class Several(Retries):
        faults = ("kill",)
        faults_at_most = most

    scheduler = make_scheduler("random", 3)
    counts = set()
    for number in range(12):
        record = await explorer.run(Several(), scheduler, execution=number)
        seen = 0
        for step in record.trace:
            assert any(isinstance(each, Strike) for each in step.alternatives) <= (seen < most)
            seen += step.is_fault
        counts.add(seen)
    assert counts <= set(range(most + 1))
    assert max(counts) >= min(most, 2), "with 12 executions of 8 points or more, none with two faults has p < 0.01"


@again
async def test_two_faults_in_one_execution_replay(explorer, times):
    class Twice(Retries):
        faults_at_most = 2

    record = await explorer.run(Twice(), Order("alice kill@alice alice alice bob crash@server"))
    assert [result.text for result in record.outcome.results.values()] == ["3", "2"]
    assert record.trace.faults == 2
    assert await replays(explorer, record, times)


async def test_an_unknown_fault_is_refused_with_the_known_ones(explorer):
    class Wrong(Struck):
        faults = ("meteor",)

    with pytest.raises(ScenarioError, match="names a fault 'meteor'; known are cancel, kill, crash"):
        await explorer.run(Wrong(), Order())


async def test_a_server_given_by_url_is_not_crashed(explorer, server):
    from dataclasses import replace  # noqa: PLC0415

    elsewhere = Explorer(replace(server, version=None))
    with pytest.raises(UsageError, match="needs the embedded server"):
        await elsewhere.run(Struck(), Order())
    await elsewhere.aclose()


# ------------------------------------------------------------------ how a struck actor is judged


async def test_an_actor_that_swallows_its_fault_is_judged_by_what_it_did(explorer):
    class Swallows(Bank):
        faults = ("cancel", "kill")

        @actor
        async def alice(self, session) -> None:
            try:
                await session.execute(add(1))
                await session.execute(add(2))
                await session.commit()
            except (asyncio.CancelledError, DBAPIError):
                await session.rollback()

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(3))
            await session.commit()

        @invariant
        async def alice_wrote_if_she_returned(self, session, outcome):
            written = await session.scalar(text("SELECT balance FROM account WHERE id = 1"))
            if outcome.results["alice"].returned and written == 100:
                raise AssertionError("alice returned and wrote nothing")

    for struck in ("cancel@alice", "kill@alice"):
        record = await explorer.run(Swallows(), Order(f"alice {struck}"))
        assert record.outcome.results["alice"].returned
        assert [finding.message for finding in record.findings] == ["alice returned and wrote nothing"]


@pytest.mark.parametrize("error", [LookupError("lost"), FileNotFoundError("no such file"), TimeoutError("late")])
@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_of_an_actor_s_own_after_a_fault_is_a_violation(explorer, kind, error):
    """A fault excuses what it does itself, a lost connection and a cancellation, and nothing else."""

    class Fails(Struck):
        @actor
        async def bob(self, session) -> None:
            try:
                await session.execute(add(3))
                await session.execute(add(4))
            except (asyncio.CancelledError, DBAPIError):
                raise error from None

    record = await explorer.run(Fails(), Order(f"bob {fault(kind)}"))
    assert record.outcome.results["bob"].kind is ResultKind.RAISED
    assert [finding.name for finding in record.findings] == ["bob ends without an error"]


async def test_a_lost_connection_among_other_errors_excuses_none_of_them(explorer):
    class Mixed(Parallel):
        async def one(self, sessions, account: int) -> None:
            try:
                await super().one(sessions, account)
            except DBAPIError:
                if account == 2:
                    raise LookupError("own") from None
                raise

    record = await explorer.run(Mixed(), Order("alice/1 alice/2 crash@server"))
    assert record.outcome.results["alice"].kind is ResultKind.RAISED
    assert record.failed


async def test_who_was_not_struck_is_not_excused(explorer):
    class Innocent(Struck):
        @actor
        async def alice(self, session) -> None:
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    record = await explorer.run(Innocent(), Order("bob kill@bob alice"))
    assert record.outcome.results["bob"].kind is ResultKind.ABORTED
    assert record.outcome.results["alice"].kind is ResultKind.RAISED
    assert [finding.name for finding in record.findings] == ["alice ends without an error"]


# ------------------------------------------------------------------ shrinking


class LostUpdate(Bank):
    """Reads and writes back; loses an update without any fault, since two of the three are left."""

    faults = ("cancel", "kill")

    @actor(names=("alice", "bob", "carol"))
    async def work(self, session) -> None:
        balance = await session.scalar(text("SELECT balance FROM account WHERE id = 1"))
        await session.execute(text(f"UPDATE account SET balance = {balance + 1} WHERE id = 1"))
        await session.commit()

    @invariant
    async def who_returned_is_counted(self, session, outcome):
        balance = await session.scalar(text("SELECT balance FROM account WHERE id = 1"))
        returned = len(outcome.committed)
        assert balance >= 100 + returned, f"{returned} returned, the balance is {balance}"


class HalfDone(Bank):
    """Commits half-way: nothing is wrong with it unless a fault comes in between."""

    faults = ("cancel", "kill")

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


async def _found(explorer, scenario, wanted):
    """The first violation of a random walk that is as wanted; there is one within 300 executions."""
    scheduler = make_scheduler("random", 11)
    for number in range(300):
        record = await explorer.run(scenario, scheduler, execution=number)
        if record.failed and wanted(record):
            return record
    raise AssertionError("no violation")


@pytest.mark.parametrize(("cls", "faults"), [(LostUpdate, 0), (HalfDone, 1)])
async def test_a_violation_shrinks_to_the_faults_that_it_needs(explorer, cls, faults):
    found = await _found(explorer, cls(), lambda record: record.trace.faults == 1)
    smallest = (await minimise(found, lambda scheduler: explorer.run(cls(), scheduler))).record
    assert smallest.failed
    assert smallest.trace.faults == faults
    assert await replays(explorer, smallest)


@pytest.mark.parametrize(("cls", "faults"), [(LostUpdate, 0), (HalfDone, 1)])
def test_hypothesis_shrinks_a_drawn_schedule_to_the_faults_that_it_needs(server, anyio_backend, cls, faults):
    with asyncio.Runner() as loop:
        explorer = Explorer(server)

        def fails(schedule) -> bool:
            record = loop.run(explorer.run(cls(), schedule))
            seen.append(record)
            return record.failed

        seen = []
        quick = settings(
            database=None, derandomize=True, max_examples=300, deadline=None, suppress_health_check=list(HealthCheck)
        )
        try:
            find(schedules(), fails, settings=quick)
            assert any(record.trace.faults for record in seen), "faults were drawn"
            smallest = next(record for record in reversed(seen) if record.failed)
            assert smallest.trace.faults == faults
        finally:
            loop.run(explorer.aclose())


# ------------------------------------------------------------------ tokens


@pytest.mark.parametrize(
    ("decisions", "written"),
    [
        (("alice", "crash@server", "alice"), "alice.crash@server.alice"),
        (("cancel@alice", "kill@bob", "kill@bob"), "cancel@alice.kill@bob2"),
        (("kill@t1", "cancel@t-1"), "kill@t1-1.cancel@t-1-1"),
        (("alice", "bob") * 20 + ("crash@server",), "+alice.bob.crash%40server@"),
        (("alice", "bob", "cancel@bob", "kill@alice/1") * 9, "+alice.bob.cancel%40bob.kill%40alice/1@"),
    ],
)
def test_a_token_names_its_faults(decisions, written):
    token = token_for(Struck(), Schedule(decided(decisions), "abcde"), "")
    text = encode(token)
    field = text.split(":")[5]
    assert field == written if not written.startswith("+") else field.startswith(written)
    assert decode(text) == token


async def test_an_execution_with_a_fault_replays_from_its_token(explorer):
    record = await explorer.run(Retries(), Order("alice bob kill@alice"))
    text = encode(token_for(record.scenario, record.schedule, ""))
    assert ":alice.bob.kill@alice." in text
    token = decode(text)
    replay = Replay(token.schedule)
    assert (await explorer.run(scenario_of(token, Retries), replay)).same_as(record)


@pytest.mark.parametrize("name", ["cancel@dave", "kill@"])
def test_a_token_with_a_fault_on_somebody_who_is_not_there_is_refused(name):
    with pytest.raises(TokenError, match=f"'{name}'"):
        scenario_of(token_for(LostUpdate(), Schedule(decided(("alice", name))), ""), LostUpdate)


async def test_a_token_with_a_fault_on_the_wrong_victim_diverges(explorer):
    """No lab writes such a token. What a fault can strike only the engine knows, so it is found where it replays."""
    token = decode(encode(token_for(Struck(), Schedule(decided("alice cancel@server")), "")))
    replay = Replay(token.schedule)
    with pytest.raises(Divergence, match="expected cancel@server to go on, but runnable were: alice, bob, "):
        await explorer.run(scenario_of(token, Struck), replay)


# ------------------------------------------------------------------ a crash in every execution


class Acknowledges(Bank):
    faults = ("crash",)
    faults_at_least = 1

    @actor(names=("alice", "bob"))
    async def work(self, session, name) -> str:
        await session.execute(add(1 if name == "alice" else 2))
        await session.commit()
        return name


async def test_a_crash_that_must_come_comes_at_the_latest_when_all_are_done(explorer):
    """Each execution has exactly one, at every point from before the first step to after the last."""
    scheduler = make_scheduler("random", 2)
    places = set()
    for number in range(24):
        record = await explorer.run(Acknowledges(), scheduler, execution=number)
        assert not record.failed
        assert record.trace.faults == 1
        (place,) = (step.number for step in record.trace if step.chosen == Strike("crash", "server"))
        places.add("last" if place == len(record.trace) and len(record.outcome.committed) == 2 else place)
        rows = record.outcome.rows["account"]
        for name, row in (("alice", rows[0]), ("bob", rows[1])):
            assert (row[3:] == "101)") == record.outcome.results[name].returned, "acknowledged is kept, other work gone"
    assert {1, 2, 3, 4, "last"} <= places


@again
async def test_the_crash_at_the_end_replays(explorer, times):
    record = await explorer.run(Acknowledges(), Order())
    assert record.trace.steps[-1].alternatives == (Strike("crash", "server"),)
    assert record.outcome.committed == ("alice", "bob")
    assert record.outcome.rows["account"][:2] == ("(1,101)", "(2,101)")
    assert await replays(explorer, record, times)


async def test_faults_at_least_needs_a_crash_to_come(explorer):
    class Never(Acknowledges):
        faults = ("kill",)

    class TooMany(Acknowledges):
        faults_at_least = 2

    for cls in (Never, TooMany):
        with pytest.raises(ScenarioError, match="only a crash can strike when all actors are done"):
            await explorer.run(cls(), Order())


# ------------------------------------------------------------------ servers and processes


async def test_a_crash_leaves_the_other_databases_of_the_lab_usable(explorer):
    """Scenarios with other tables have another database on the same server."""
    other = MetaData()
    for table in Bank.metadata.tables.values():
        Table(table.name, other, *(column._copy() for column in table.columns))

    class Elsewhere(Acknowledges):
        metadata = other

    for cls in (Acknowledges, Elsewhere, Acknowledges, Elsewhere):
        record = await explorer.run(cls(), Order("alice crash@server"))
        assert record.outcome.committed == ("bob",) or not record.outcome.committed
        assert not record.failed


async def test_a_crash_is_kept_from_those_who_share_the_server(explorer, server):
    """Scenarios that crash their server have one of their own."""
    before = server.pid
    record = await explorer.run(Acknowledges(), Order("alice crash@server"))
    assert record.trace.faults == 1
    assert psutil.pid_exists(before)
    calm = await explorer.run(LostUpdate(), Order("alice"))
    assert calm.outcome.ending is Ending.COMPLETED


async def test_a_server_that_has_been_up_for_long_is_started_anew(explorer, monkeypatch):
    """Its WAL writer wakes by the clock, and would write out what was committed without waiting."""
    await explorer.run(Acknowledges(), Order("crash@server"))
    crashes = []
    cluster = await explorer._fit(Acknowledges(), Order("crash@server"), AS_IT_STANDS).open()
    real = type(cluster).crash
    monkeypatch.setattr(type(cluster), "crash", lambda self: crashes.append(1) or real(self))
    await explorer.run(Acknowledges(), Order())
    assert len(crashes) == 1, "its own crash only: the server was fresh"
    monkeypatch.setattr("lab.postgres.server.cluster.FRESH_SECONDS", 0.0)
    await explorer.run(Acknowledges(), Order())
    assert len(crashes) == 3


async def test_no_process_and_no_folder_stay_behind_after_crashes(server):
    explorer = Explorer(server)
    for _ in range(3):
        await explorer.run(Struck(), Order("alice bob bob crash@server"))
    own, _ = explorer._own
    postmaster = psutil.Process(_postmaster(own.folder))
    keeper = postmaster.parent()
    family = [keeper, *keeper.children(recursive=True)]
    assert len(family) > 3
    await explorer.aclose()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert not own.folder.exists()


def _postmaster(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


_CRASHER = """
import asyncio, sys
sys.path[:0] = {path!r}
from helpers.kit import Order
from test_faults import Acknowledges, _postmaster
from lab.explore import Explorer
from lab.postgres.server.embedded import embedded_server

async def main():
    with embedded_server() as server:
        explorer = Explorer(server)
        for _ in range(2):
            await explorer.run(Acknowledges(), Order("alice bob crash@server"))
        print(explorer._own[0].folder, _postmaster(explorer._own[0].folder), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_lab_that_crashed_its_server_and_is_killed_leaves_nothing_behind():
    script = _CRASHER.format(path=[str(Path(__file__).parent), str(Path(__file__).parents[1])])
    lab_process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        folder, pid = lab_process.stdout.readline().split()
        postmaster = psutil.Process(int(pid))
        family = [postmaster.parent(), postmaster, *postmaster.children(recursive=True)]
        assert Path(folder).exists()
        os.kill(lab_process.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive
        assert not Path(folder).exists()
    finally:
        lab_process.kill()
        lab_process.wait()
        lab_process.stdout.close()
