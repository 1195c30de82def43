"""Threads that nobody awaits by the event loop, and threads that go back to it."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import anyio.to_thread
import pytest
from helpers.kit import Bank, Order, add, replays, told

from lab import actor
from lab.engine.outside import Outside
from lab.model.outcome import Ending

POOL = ThreadPoolExecutor(2)
"""A service's own, which lives longer than an execution."""


def slow(answer: str = "done", seconds: float = 0.01) -> str:
    time.sleep(seconds)
    return answer


async def by_a_thread_of_its_own() -> object:
    loop = asyncio.get_running_loop()
    answer = loop.create_future()
    threading.Thread(target=lambda: loop.call_soon_threadsafe(answer.set_result, slow())).start()
    return await answer


async def by_a_pool_of_its_own() -> object:
    with ThreadPoolExecutor(1) as pool:
        return await asyncio.wrap_future(pool.submit(slow))


async def by_a_process() -> object:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('done', end='')", stdout=-1)
    return (await process.communicate())[0].decode()


class Works(Bank):
    """Both write one account, and do something elsewhere before they commit."""

    elsewhere = staticmethod(by_a_thread_of_its_own)

    @actor(names=("alice", "bob"))
    async def work(self, session) -> object:
        await session.execute(add(1))
        answer = await self.elsewhere()
        await session.commit()
        return answer


@pytest.mark.parametrize("work", [by_a_thread_of_its_own, by_a_pool_of_its_own, by_a_process])
async def test_who_waits_for_what_it_started_is_not_stalled_and_nobody_goes_on_meanwhile(explorer, work):
    class Started(Works):
        elsewhere = staticmethod(work)

    record = await explorer.run(Started(), Order())
    assert [each.partition(" ")[0] for each in told(record.trace)] == ["alice", "alice", "bob", "bob"]
    assert {each.value for each in record.outcome.results.values()} == {"done"}
    assert record.unsearched == tuple(
        f"the order of what {name} did outside the lab's control" for name in ("alice", "bob")
    )
    assert await replays(explorer, record, 5)


@pytest.mark.parametrize("work", [asyncio.to_thread, anyio.to_thread.run_sync])
async def test_what_is_awaited_in_a_thread_is_named_with_its_line(explorer, work):
    class Threaded(Works):
        async def elsewhere(self) -> object:
            return await work(slow)

    record = await explorer.run(Threaded(), Order())
    line = Threaded.elsewhere.__code__.co_firstlineno + 1
    assert record.unsearched == tuple(
        f"orders within what {name} does in a thread: slow (test_threads.py:{line})" for name in ("alice", "bob")
    )
    assert await replays(explorer, record, 5)


class GoesBack(Bank):
    """The statement is sent by a task that a thread asks the event loop for."""

    @actor(names=("alice", "bob"))
    async def work(self, session) -> None:
        loop = asyncio.get_running_loop()

        def ask() -> None:
            asyncio.run_coroutine_threadsafe(session.execute(add(1)), loop).result()

        await asyncio.to_thread(ask)
        await session.commit()


async def test_what_a_thread_asks_the_loop_for_is_a_step_of_its_actor(explorer):
    record = await explorer.run(GoesBack(), Order("alice/1 bob/1 alice"))
    assert [each.partition(" ")[0] for each in told(record.trace)] == ["alice/1", "bob/1", "alice", "bob/1", "bob"]
    assert record.outcome.ending is Ending.COMPLETED
    assert await replays(explorer, record, 5)


async def test_a_thread_that_waits_for_a_task_that_waits_for_its_actor_is_a_stall(explorer):
    lock = asyncio.Lock()

    class Circle(Bank):
        @actor
        async def alice(self, session) -> None:
            loop = asyncio.get_running_loop()

            async def locked() -> None:
                async with lock:
                    await session.execute(add(1))

            def ask() -> None:
                asyncio.run_coroutine_threadsafe(locked(), loop).result()

            async with lock:
                await asyncio.to_thread(ask)

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(2))

    record = await explorer.run(Circle(), Order())
    assert record.outcome.ending is Ending.STALLED
    stalls = {each.actor: each for each in record.stalls}
    assert stalls["alice"].wants.what == "its thread, which waits for a task"
    assert [each.actor for each in stalls["alice"].wants.holders] == ["alice/1"]
    assert stalls["alice/1"].wants.what == "asyncio.Lock `lock`"


class OwnThreadGoesBack(Bank):
    """The statement is sent by a task that a thread of the actor's own asks the event loop for."""

    @actor(names=("alice", "bob"))
    async def work(self, session) -> None:
        loop = asyncio.get_running_loop()
        sent = loop.create_future()

        def ask() -> None:
            asyncio.run_coroutine_threadsafe(session.execute(add(1)), loop).result()
            loop.call_soon_threadsafe(sent.set_result, None)

        self.start(ask)
        await sent
        await session.commit()

    def start(self, ask) -> None:
        threading.Thread(target=ask).start()


class PoolGoesBack(OwnThreadGoesBack):
    def start(self, ask) -> None:
        POOL.submit(ask)


@pytest.mark.parametrize("scenario", [OwnThreadGoesBack, PoolGoesBack])
async def test_what_an_own_thread_asks_the_loop_for_is_a_step_of_its_actor(explorer, scenario):
    record = await explorer.run(scenario(), Order("alice/1 bob/1 alice"))
    assert [each.partition(" ")[0] for each in told(record.trace)] == ["alice/1", "bob/1", "alice", "bob/1", "bob"]
    assert record.outcome.ending is Ending.COMPLETED
    assert await replays(explorer, record, 5)


async def test_the_last_word_of_a_thread_is_waited_for(explorer, monkeypatch):
    """It has ended when the engine looks, and the event loop has not come to what it asked for before."""
    may_end, works = threading.Event(), []

    class LastWord(Bank):
        @actor
        async def alice(self, session) -> None:
            loop = asyncio.get_running_loop()
            sent = loop.create_future()

            def ask() -> None:
                may_end.wait()
                loop.call_soon_threadsafe(sent.set_result, None)

            works.append(POOL.submit(ask))
            await sent
            await session.execute(add(1))

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(2))

    real = Outside._asked_by

    def asked_by(self, stalled):
        may_end.set()
        wait(works)
        return real(self, stalled)

    monkeypatch.setattr(Outside, "_asked_by", asked_by)
    record = await explorer.run(LastWord(), Order())
    assert [each.partition(" ")[0] for each in told(record.trace)] == ["alice", "alice", "bob", "bob"]


class ThreadDies(Bank):
    """Nobody is left who could answer alice: its thread ended without a word."""

    @actor
    async def alice(self, session) -> None:
        answer = asyncio.get_running_loop().create_future()
        threading.Thread(target=slow).start()
        await answer

    @actor
    async def bob(self, session) -> None:
        await session.execute(add(2))


class ProcessDies(ThreadDies):
    @actor
    async def alice(self, session) -> None:
        answer = asyncio.get_running_loop().create_future()
        await asyncio.create_subprocess_exec(sys.executable, "-c", "")
        await answer


@pytest.mark.parametrize("dies", [ThreadDies, ProcessDies])
async def test_who_waits_for_what_ended_without_an_answer_is_stalled(explorer, dies):
    record = await explorer.run(dies(), Order())
    assert record.outcome.ending is Ending.STALLED
    assert [each.actor for each in record.stalls] == ["alice"]
