"""Tasks, locks of the process, threads and cancellation."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import anyio.to_thread
import pytest
from helpers.decided import said
from helpers.kit import Bank, Order, add, lock, of, replays, told
from sqlalchemy import text
from test_points import Idle

import lab
from lab import actor
from lab.model.outcome import Ending, ResultKind


async def _points(label: str) -> str:
    await lab.point(f"{label}1")
    await lab.point(f"{label}2")
    return label


async def _by_create_task() -> list[str]:
    tasks = [asyncio.create_task(_points(label)) for label in "ab"]
    return [await task for task in tasks]


async def _by_gather() -> list[str]:
    return await asyncio.gather(_points("a"), _points("b"))


async def _by_task_group() -> list[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_points(label)) for label in "ab"]
    return [task.result() for task in tasks]


async def _by_anyio() -> list[str]:
    done: list[str] = []

    async def body(label: str) -> None:
        done.append(await _points(label))

    async with anyio.create_task_group() as group:
        group.start_soon(body, "a")
        group.start_soon(body, "b")
    return sorted(done)


async def _by_ensure_future() -> list[str]:
    return list(await asyncio.gather(*[asyncio.ensure_future(_points(label)) for label in "ab"]))


@pytest.mark.parametrize("start", [_by_create_task, _by_gather, _by_task_group, _by_anyio, _by_ensure_future])
async def test_tasks_that_an_actor_starts_are_actors_named_after_it(explorer, start):
    class Starts(Idle):
        @actor
        async def alice(self) -> list[str]:
            return await start()

    order = "alice/2 alice/1 alice/1 alice/2"
    record = await explorer.run(Starts(), Order(order))
    assert [step.actor for step in record.trace] == order.split()
    assert said(record.trace.steps[0].alternatives) == ("alice/1", "alice/2")
    assert record.outcome.results["alice"].value == ["a", "b"]
    assert set(record.outcome.results) == {"alice", "idle"}


async def test_statements_started_side_by_side_are_actors(explorer):
    """`gather(session.execute(…), …)` hands the library's own coroutine to a task; it is user work all the same."""

    class Gathers(Idle):
        @actor
        async def alice(self, sessions) -> int:
            async with sessions() as one, sessions() as two:
                await asyncio.gather(one.execute(add(1)), two.execute(add(2)))
                await asyncio.gather(one.commit(), two.commit())
                await asyncio.gather(one.execute(add(3)), two.execute(add(4)))
                await asyncio.gather(one.close(), two.close())

    record = await explorer.run(Gathers(), Order("alice/2 alice/1"))
    assert record.outcome.rows["account"] == ("(1,101)", "(2,101)", "(3,100)", "(4,100)")
    assert len(record.trace) == 8
    assert await replays(explorer, record)


async def test_a_wait_for_that_is_in_time_gives_the_value(explorer):
    class Waits(Idle):
        @actor
        async def alice(self) -> str:
            return await asyncio.wait_for(_points("a"), 600)

    record = await explorer.run(Waits(), Order())
    assert record.outcome.results["alice"].value == "a"
    assert [line.split(" ", 1)[1] for line in told(record.trace)] == ["point a1", "point a2"]


async def test_closing_a_session_is_the_actors_own_step(explorer):
    """SQLAlchemy closes in a shielded task of its own."""

    class Closes(Idle):
        @actor
        async def alice(self, sessions, engine) -> None:
            async with sessions() as session:
                await session.execute(text("SELECT 1"))
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 2"))

    record = await explorer.run(Closes(), Order())
    assert told(record.trace) == ["alice SELECT 1", "alice ROLLBACK", "alice SELECT 2", "alice ROLLBACK"]


async def test_a_task_of_a_task_is_named_after_the_root(explorer):
    class Deep(Idle):
        @actor
        async def alice(self) -> None:
            async def outer() -> None:
                await asyncio.gather(_points("x"))

            await asyncio.gather(outer(), _points("y"))

    record = await explorer.run(Deep(), Order())
    assert {step.actor for step in record.trace} == {"alice/2", "alice/3"}


async def test_tasks_of_an_actor_share_its_isolation_and_have_sessions_of_their_own(explorer):
    class Shares(Idle):
        @actor(isolation="SERIALIZABLE")
        async def alice(self, sessions) -> list[str]:
            async def ask() -> str:
                async with sessions() as session:
                    level = await session.scalar(text("SHOW transaction_isolation"))
                    return f"{level} {await session.scalar(text('SELECT pg_backend_pid()'))}"

            return await asyncio.gather(ask(), ask())

    record = await explorer.run(Shares(), Order("alice/1 alice/2"))
    one, two = record.outcome.results["alice"].value
    assert one.startswith("serializable ")
    assert one.split()[0] == two.split()[0]
    assert one != two


async def test_a_statement_queues_behind_one_that_waits_on_the_same_session(explorer):
    """SQLAlchemy lets two tasks use one session one after the other; the second waits in the process."""

    class Shared(Bank):
        @actor
        async def alice(self, session) -> None:
            await asyncio.gather(session.execute(add(1)), session.execute(add(2)))
            await session.commit()

        @actor
        async def bob(self, session) -> None:
            await session.execute(lock(1))
            await session.commit()

    record = await explorer.run(Shared(), Order("bob alice/1 alice/2 bob alice/1"))
    assert [said(step.alternatives) for step in record.trace] == [
        ("alice/1", "alice/2", "bob"),
        ("bob", "alice/1", "alice/2"),
        ("alice/2", "bob"),
        ("bob",),
        ("alice/1",),
        ("alice",),
    ]
    assert record.outcome.rows["account"][:2] == ("(1,101)", "(2,101)")
    assert await replays(explorer, record)


async def test_an_asyncio_lock_is_waited_for_and_goes_on_by_itself(explorer):
    class Locks(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, name) -> None:
            async with guards[name[0] != "?"]:
                await lab.point("inside")
            await lab.point("outside")

    guards = {True: asyncio.Lock()}
    record = await explorer.run(Locks(), Order("alice"))
    assert [said(step.alternatives) for step in record.trace] == [("alice",), ("alice", "bob"), ("bob",), ("bob",)]
    assert record.outcome.ending is Ending.COMPLETED
    assert await replays(explorer, record)


async def test_events_queues_and_conditions_pass_between_actors(explorer):
    class Passes(Bank):
        @actor
        async def alice(self) -> str:
            await event.wait()
            item = await queue.get()
            async with condition:
                await condition.wait()
            return item

        @actor
        async def bob(self) -> None:
            await lab.point("set")
            event.set()
            await lab.point("put")
            await queue.put("item")
            await lab.point("notify")
            async with condition:
                condition.notify()

    event, queue, condition = asyncio.Event(), asyncio.Queue(), asyncio.Condition()
    record = await explorer.run(Passes(), Order())
    assert record.outcome.results["alice"].value == "item"
    assert [said(step.alternatives) for step in record.trace] == [("bob",)] * 3


@pytest.mark.parametrize("work", [asyncio.to_thread, anyio.to_thread.run_sync])
async def test_what_a_released_actor_does_is_waited_for_before_the_next_decision(explorer, work):
    """Bob is released by alice, works in a thread, and only then parks: the decision after sees him parked."""

    class Releases(Bank):
        @actor
        async def alice(self) -> None:
            async with guard:
                await lab.point("held")
            await lab.point("released")

        @actor
        async def bob(self) -> None:
            async with guard:
                await work(time.sleep, 0.02)
            await lab.point("worked")

    guard = asyncio.Lock()
    record = await explorer.run(Releases(), Order("alice bob"))
    assert told(record.trace) == ["alice point held", "bob point worked", "alice point released"]


async def test_a_released_actor_that_opens_a_connection_is_waited_for(explorer):
    class Releases(Bank):
        @actor
        async def alice(self) -> None:
            async with guard:
                await lab.point("held")
            await lab.point("released")

        @actor
        async def bob(self, sessions, session) -> None:
            await session.execute(text("SELECT 1"))
            async with guard, sessions() as second:
                await second.connection()
                await lab.point("opened")

    guard = asyncio.Lock()
    record = await explorer.run(Releases(), Order("bob alice bob"))
    assert told(record.trace)[:3] == ["bob SELECT 1", "alice point held", "bob point opened"]
    guard = asyncio.Lock()
    assert await replays(explorer, record, times=1)


@pytest.mark.parametrize("work", [asyncio.to_thread, anyio.to_thread.run_sync])
async def test_work_in_threads_is_waited_for(explorer, work):
    class Threads(Bank):
        @actor(names=("alice", "bob"))
        async def work(self) -> str:
            name = await work(_slow)
            await lab.point("after")
            return name

    record = await explorer.run(Threads(), Order("bob alice"))
    assert record.outcome.results["alice"].value != threading.current_thread().name
    assert [said(step.alternatives) for step in record.trace] == [("alice", "bob"), ("alice",)]


async def test_threads_that_sleep_beside_each_other_move_one_clock(explorer):
    """Each sleep moves the server's clock, too, by a file that is replaced."""

    class Threads(Bank):
        @actor(names=("alice", "bob", "cleo"))
        async def work(self) -> None:
            await asyncio.to_thread(lambda: [time.sleep(0.001) for _ in range(200)])

    record = await explorer.run(Threads(), Order())
    assert {result.text for result in record.outcome.results.values()} == {"None"}


def _slow() -> str:
    time.sleep(0.02)
    return threading.current_thread().name


async def test_an_error_in_one_task_of_a_group_cancels_its_parked_siblings(explorer):
    class Group(Idle):
        @actor(allows=(ExceptionGroup,))
        async def alice(self, sessions) -> None:
            async def fails() -> None:
                await lab.point("fail")
                raise ValueError

            async def writes() -> None:
                async with sessions() as session:
                    await session.execute(add(1))
                    await session.commit()

            async with asyncio.TaskGroup() as group:
                group.create_task(writes())
                group.create_task(fails())

    record = await explorer.run(Group(), Order("alice/1 alice/2"))
    assert record.outcome.rows["account"][0] == "(1,100)"
    assert record.outcome.results["alice"].kind is ResultKind.RAISED
    assert not record.findings
    assert await replays(explorer, record)


def _cancelling(work):
    """Alice's task does `work`; bob cancels it when he is chosen."""
    victims: list[asyncio.Task[object]] = []

    class Cancels(Bank):
        @actor
        async def alice(self, sessions) -> str:
            victims[:] = [asyncio.create_task(work(sessions))]
            try:
                await victims[0]
            except asyncio.CancelledError:
                await lab.point("cleaned up")
                return "cancelled"
            return "worked"

        @actor
        async def bob(self, session) -> int:
            await session.execute(lock(1))
            await lab.point("cancel")
            victims[0].cancel()
            await lab.point("cancelled")
            await session.execute(add(2))
            await session.commit()

    return Cancels()


async def test_a_parked_task_can_be_cancelled(explorer):
    async def work(sessions) -> None:
        await lab.point("for ever")

    record = await explorer.run(_cancelling(work), Order("bob bob"))
    assert record.outcome.results["alice"].value == "cancelled"
    assert "alice/1 point for ever" not in told(record.trace)


async def test_a_sleeping_task_can_be_cancelled(explorer):
    async def work(sessions) -> None:
        await asyncio.sleep(1000)

    record = await explorer.run(_cancelling(work), Order("bob bob"))
    assert record.outcome.results["alice"].value == "cancelled"
    assert "sleep" not in "".join(told(record.trace))


async def test_a_task_frozen_in_a_lock_wait_can_be_cancelled(explorer):
    async def work(sessions) -> None:
        async with sessions() as session:
            await session.execute(add(2))
            await session.execute(add(1))
            await session.commit()

    before = time.monotonic()
    record = await explorer.run(_cancelling(work), Order("bob alice/1 alice/1 bob bob"))
    lines = told(record.trace)
    assert lines[2].endswith("(B)")
    assert record.outcome.results["alice"].value == "cancelled"
    assert record.outcome.rows["account"][:2] == ("(1,100)", "(2,101)")
    assert not any(step.wait for step in record.trace.steps[3:]), "the cancelled task's locks are gone"
    assert await replays(explorer, record, times=5)
    assert time.monotonic() - before < 9, "each time SQLAlchemy waited its two seconds for a frozen backend"


async def test_locks_of_a_connection_that_was_dropped_are_gone_before_the_next_decision(explorer):
    """The server learns of the end of a connection a moment after the client has forgotten it."""

    class Drops(Bank):
        @actor
        async def alice(self, engine) -> None:
            connection = await engine.connect()
            await connection.execute(text("SELECT pg_advisory_lock(5)"))
            (await connection.get_raw_connection()).driver_connection.terminate()
            await lab.point("dropped")
            await connection.invalidate()

        @actor
        async def bob(self, session) -> bool:
            return await session.scalar(text("SELECT pg_try_advisory_lock(5)"))

    for _ in range(20):
        record = await explorer.run(Drops(), Order("alice bob"))
        assert record.outcome.results["bob"].value is True


async def test_a_task_waiting_for_an_asyncio_lock_can_be_cancelled(explorer):
    guard = asyncio.Lock()

    async def work(sessions) -> None:
        async with guard:
            raise AssertionError

    await guard.acquire()
    record = await explorer.run(_cancelling(work), Order("bob bob"))
    assert record.outcome.results["alice"].value == "cancelled"
    assert of(record, "alice") == ["point cleaned up"]


async def test_an_actor_that_cancels_itself_ends_with_that_error(explorer):
    class Gives(Idle):
        @actor
        async def alice(self) -> None:
            asyncio.current_task().cancel()
            await lab.point("never")

    record = await explorer.run(Gives(), Order())
    assert record.outcome.results["alice"].text == "CancelledError"
    assert len(record.trace) == 0


async def test_a_timeout_that_strikes_a_statement_in_flight_frees_its_locks_before_the_next_decision(explorer):
    class Late(Bank):
        @actor
        async def alice(self, sessions) -> str:
            try:
                async with asyncio.timeout(0.05), sessions() as session:
                    await session.execute(add(1))
                    await session.execute(text("SELECT pg_sleep(30)"))
            except TimeoutError:
                return "late"
            return "in time"

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(1))
            await session.commit()

    record = await explorer.run(Late(), Order("alice alice"))
    assert record.outcome.results["alice"].value == "late"
    assert record.outcome.rows["account"][0] == "(1,101)"
    assert not any(step.wait for step in record.trace)


async def test_the_loop_is_left_as_it_was_found(explorer):
    loop = asyncio.get_running_loop()
    before = dict(vars(loop)), loop.get_task_factory(), vars(asyncio.tasks)["__sleep0"]

    class Quick(Idle):
        @actor
        async def alice(self) -> None:
            assert loop.get_task_factory() is not before[1]
            await asyncio.sleep(0)

    record = await explorer.run(Quick(), Order())
    assert not record.failed
    own = {"call_later", "run_in_executor", "call_at"}
    assert own.isdisjoint(set(vars(loop)) - set(before[0]))
    assert loop.get_task_factory() is before[1]
    assert vars(asyncio.tasks)["__sleep0"] is before[2]
