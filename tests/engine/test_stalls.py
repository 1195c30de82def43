"""When nobody can go on, and when it only looks so."""

from __future__ import annotations

import asyncio
import time

import pytest
from helpers.kit import Bank, Order, add, lock, replays, told
from sqlalchemy.exc import DBAPIError
from test_points import Idle

import lab
from lab import actor
from lab.errors import UncontrolledError
from lab.model.outcome import Ending, ResultKind


def _two_locks():
    class TwoLocks(Bank):
        @actor
        async def alice(self) -> None:
            async with locks[0]:
                await lab.point("has one")
                async with locks[1]:
                    await lab.point("has both")

        @actor
        async def bob(self) -> None:
            async with locks[1]:
                await lab.point("has one")
                async with locks[0]:
                    await lab.point("has both")

    locks = asyncio.Lock(), asyncio.Lock()
    return TwoLocks()


async def test_two_asyncio_locks_in_opposite_order_are_a_stall_that_says_who_waits_where(explorer):
    record = await explorer.run(_two_locks(), Order("alice bob"), origins=True)
    assert record.outcome.ending is Ending.STALLED
    assert [stall.actor for stall in record.stalls] == ["alice", "bob"]
    assert "test_stalls.py" in record.stalls[0].place
    assert record.stalls[0].place.endswith("async with locks[1]:")
    assert record.stalls[1].place.endswith("async with locks[0]:")
    assert record.stalls[0].lock is None
    (finding,) = record.findings
    assert finding.checker == "stall"
    assert "and waits for asyncio.Lock `locks[1]`, taken by bob; " in finding.message
    assert finding.message.endswith("; alice waits for bob, who waits for alice")
    assert all(result.kind is ResultKind.UNFINISHED for result in record.outcome.results.values())


async def test_a_stall_comes_at_once(explorer):
    before = time.monotonic()
    await explorer.run(_two_locks(), Order("alice bob"))
    assert time.monotonic() - before < 5, "a stall was waited out"


async def test_a_stall_is_seen_at_once_although_a_connection_was_opened_on_the_way(explorer):
    class Opens(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, name, sessions) -> None:
            first, second = locks if name == "alice" else reversed(locks)
            async with sessions() as one, sessions() as two, sessions() as three:
                for session in (one, two, three):
                    await session.connection()
                async with first:
                    await lab.point("has one")
                    async with second:
                        pass

    locks = asyncio.Lock(), asyncio.Lock()
    record = await explorer.run(Opens(), Order("alice bob"))
    assert record.outcome.ending is Ending.STALLED


async def test_an_asyncio_lock_held_across_a_row_lock_stalls_with_both_parts_told(explorer):
    class Across(Bank):
        @actor
        async def alice(self, session) -> None:
            async with guard:
                await session.execute(lock(1))

        @actor
        async def bob(self, session) -> None:
            await session.execute(lock(1))
            async with guard:
                await session.commit()

    guard = asyncio.Lock()
    record = await explorer.run(Across(), Order("bob alice"), origins=True)
    assert record.outcome.ending is Ending.STALLED
    alice, bob = record.stalls
    assert alice.lock.holders == ("bob",)
    assert "FOR UPDATE" in alice.place
    assert bob.lock is None
    assert bob.place.endswith("async with guard:")
    assert [(each.what, each.step) for each in bob.holds] == [("row (0,1) of account", 1)]
    assert [each.what for each in alice.holds] == ["asyncio.Lock `guard`"]
    message = record.findings[0].message
    assert "alice holds asyncio.Lock `guard` and waits for row (0,1) of account, held by bob; " in message
    assert "bob holds row (0,1) of account and waits for asyncio.Lock `guard`, taken by alice; " in message


async def test_after_a_stall_every_connection_is_usable(explorer):
    class Work(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            await session.execute(add(1))
            await session.commit()

    class Across(Bank):
        @actor
        async def alice(self, session) -> None:
            await session.execute(add(2))
            await session.execute(lock(1))
            await event.wait()

        @actor
        async def bob(self, session) -> None:
            await session.execute(lock(1))
            await event.wait()

    event = asyncio.Event()
    expected = await explorer.run(Work(), Order())
    for _ in range(3):
        record = await explorer.run(Across(), Order("bob alice alice"))
        assert record.outcome.ending is Ending.STALLED
        assert record.outcome.rows["account"][1] == "(2,100)"
        again = await explorer.run(Work(), Order())
        assert again.same_as(expected)
        assert again.outcome.rows["account"][0] == "(1,102)"


async def test_a_task_left_waiting_for_ever_is_a_stall_that_names_it(explorer):
    class Leaves(Idle):
        @actor
        async def alice(self) -> None:
            tasks.append(asyncio.create_task(asyncio.Event().wait()))

    tasks: list[asyncio.Task[object]] = []
    record = await explorer.run(Leaves(), Order())
    assert [stall.actor for stall in record.stalls] == ["alice/1"]
    assert record.outcome.results["alice"].kind is ResultKind.RETURNED


async def test_a_timeout_of_its_own_that_ends_soon_keeps_an_actor_from_being_stalled(explorer):
    class Patient(Bank):
        @actor
        async def alice(self) -> None:
            freed.clear()
            async with guard:
                await freed.wait()

        @actor
        async def bob(self) -> str:
            try:
                await asyncio.wait_for(guard.acquire(), 0.05)
            except TimeoutError:
                freed.set()
                return "gave up"
            return "got it"

    guard, freed = asyncio.Lock(), asyncio.Event()
    record = await explorer.run(Patient(), Order())
    assert record.outcome.ending is Ending.COMPLETED
    assert record.outcome.results["bob"].value == "gave up"


async def test_a_timeout_around_a_lock_wait_ends_a_stall_as_it_does_in_production(explorer):
    class Patient(Bank):
        @actor
        async def alice(self, session) -> None:
            freed.clear()
            await session.execute(lock(1))
            await freed.wait()
            await session.commit()

        @actor
        async def bob(self, sessions) -> str:
            try:
                async with asyncio.timeout(0.2), sessions() as session:
                    await session.execute(lock(1))
            except TimeoutError:
                freed.set()
                return "gave up"
            return "got it"

    freed = asyncio.Event()
    record = await explorer.run(Patient(), Order("alice bob"))
    assert record.outcome.ending is Ending.COMPLETED
    assert record.outcome.results["bob"].value == "gave up"


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()


class _Calls(Idle):
    """Alice asks a service elsewhere and ends without another point."""

    @actor
    async def alice(self) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port())
        writer.write(b"hello\n")
        try:
            return await reader.readline()
        finally:
            writer.close()

    def port(self) -> int:
        return _PORT[0]


_PORT = [0]


async def test_an_answer_from_elsewhere_is_waited_for(explorer):
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with server:
        _PORT[0] = server.sockets[0].getsockname()[1]
        record = await explorer.run(_Calls(), Order())
    assert record.outcome.results["alice"].value == b"hello\n"
    assert record.outcome.ending is Ending.COMPLETED


async def test_silence_from_elsewhere_is_an_error_and_no_verdict(explorer, monkeypatch):
    monkeypatch.setattr("lab.engine.execution.OUTSIDE_SECONDS", 0.2)
    writers = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        _PORT[0] = server.sockets[0].getsockname()[1]
        with pytest.raises(UncontrolledError, match=r"alice waited 0.2 s for a socket that is not the lab's"):
            await explorer.run(_Calls(), Order())
        for writer in writers:
            writer.close()


async def test_a_pool_slot_that_only_another_actor_can_give_is_waited_for(explorer):
    class Slots(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, name, session) -> None:
            async with slots:
                await session.execute(add(1))
                await session.commit()

    slots = asyncio.BoundedSemaphore(1)
    record = await explorer.run(Slots(), Order("alice"))
    assert record.outcome.rows["account"][0] == "(1,102)"
    assert [line.split()[0] for line in told(record.trace)] == ["alice", "alice", "bob", "bob"]
    assert await replays(explorer, record)


async def test_an_error_of_the_database_inside_a_lock_frees_the_lock(explorer):
    class Fails(Bank):
        @actor(allows=("22012",), names=("alice", "bob"))
        async def work(self, session) -> None:
            async with guard:
                with pytest.raises(DBAPIError):
                    await session.execute(add(1, "1 / 0"))

    guard = asyncio.Lock()
    record = await explorer.run(Fails(), Order("alice"))
    assert record.outcome.ending is Ending.COMPLETED
    assert record.trace.steps[0].result.error == "22012"
