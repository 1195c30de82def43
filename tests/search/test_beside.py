"""Work on an event loop of its own, while executions go on in this one."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from lab.engine.watchdog import Watchdog, watchdog
from lab.search.beside import Beside
from lab.search.hunt import Hunt
from scenarios.transfer import LostUpdate


async def test_it_runs_while_executions_do_and_changes_none_of_them(explorer):
    """Nothing of it stands in the loop of the executions, so what a hunt finds is the same."""
    alone = await Hunt.of(LostUpdate()).run(explorer)
    started, hunted = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        while not hunted.is_set():
            process = await asyncio.create_subprocess_exec("true")
            await process.wait()

    beside = Beside(work)
    await asyncio.to_thread(started.wait)
    assert not beside.is_over
    together = await Hunt.of(LostUpdate()).run(explorer)
    hunted.set()
    await beside.over()
    assert beside.is_over
    assert [each.token for each in together.failures] == [each.token for each in alone.failures]


async def test_what_it_raises_is_raised_where_it_is_waited_for():
    async def work() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await Beside(work).over()


async def test_it_has_the_context_of_its_beginning():
    """The watchdog and its bounds hold there, too."""
    dog, seen = Watchdog(), []
    token = watchdog.set(dog)

    async def work() -> None:
        seen.append(watchdog.get())

    await Beside(work).over()
    watchdog.reset(token)
    assert seen == [dog]


@pytest.mark.parametrize("by", ["the one who waits", "a call"])
async def test_a_cancellation_reaches_it_and_is_waited_for(by):
    """What it makes of the cancellation is done when `over` is left, and who was cancelled stays so."""
    begun, ended = threading.Event(), []

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")

    beside = Beside(work)
    await asyncio.to_thread(begun.wait)
    waiting = asyncio.create_task(beside.over())
    await asyncio.sleep(0)
    (waiting if by == "the one who waits" else beside).cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled() == (by == "the one who waits")
    assert ended == ["cancelled"]
    beside.cancel()  # nothing is left to do


async def test_what_was_cancelled_before_it_began_is_over():
    """Who cancels it goes on; nothing is raised."""
    for _ in range(20):  # the thread may have begun by then, or not
        beside = Beside(lambda: asyncio.sleep(600))
        beside.cancel()
        await beside.over()
        assert beside.is_over
