"""What a signal asks for happens even where the exception that says so is lost."""

from __future__ import annotations

import asyncio
import io
import os
import signal

import pytest
from helpers.kit import Bank, Order
from sqlalchemy import text

from lab import actor
from lab.commands.guard import SIGNALS, Guard
from lab.engine.watchdog import Watchdog, watchdog
from lab.errors import Interrupted
from lab.model.bounds import Bounds


class Waits(Bank):
    @actor(names=("alice", "bob"))
    async def waits(self, session) -> None:
        await session.execute(text("SELECT pg_sleep(0.5)"))
        await session.commit()


@pytest.fixture
def dog(monkeypatch):
    monkeypatch.setattr("lab.engine.watchdog.HURRY_SECONDS", -1.0)
    return Watchdog(Bounds())


@pytest.fixture
def guard(dog):
    reader, mark = os.pipe()
    guard = Guard(mark, b"seal", io.StringIO(), dog)
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield guard
    guard.end(0)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.close(reader)
    os.close(mark)


async def test_an_execution_that_only_a_hurry_makes_late_is_cancelled(explorer, dog):
    watchdog.set(dog)
    dog.hurry()
    with pytest.raises(asyncio.CancelledError):
        await explorer.run(Waits(), Order())


async def test_a_start_that_awaits_nothing_is_broken_off_once(dog):
    dog.work = asyncio.current_task()
    dog.bark(None)
    dog.hurry()
    with pytest.raises(Interrupted):
        dog.bark(None)
    dog.bark(None)


async def test_what_has_begun_is_left_to_its_cancellation(dog):
    dog.work = asyncio.current_task()
    with dog.during("alice", "step"):
        pass
    dog.hurry()
    dog.bark(None)
    assert dog.has_begun


def test_a_signal_before_the_event_loop_is_there_ends_the_work_before_it_begins(guard):
    begun = []

    async def command() -> str:
        begun.append(1)
        return "passed"

    guard.press(signal.SIGINT, None)
    with pytest.raises(Interrupted):
        guard.run(command())
    assert begun == []
