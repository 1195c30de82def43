"""What an actor waits for in the process is read off its stack; who has it is noted where an execution is reported."""

from __future__ import annotations

import asyncio

import pytest
from helpers.kit import Bank, Order

from lab import actor, point


def _waiting(wait):
    class Waits(Bank):
        @actor
        async def alice(self) -> None:
            await point("called")
            await wait()

        @actor
        async def bob(self) -> None:
            await point("called")

    return Waits()


async def _full():
    queue = asyncio.Queue(maxsize=1)
    await queue.put(1)
    await queue.put(2)


async def _barrier():
    await asyncio.Barrier(2).wait()


async def _condition():
    async with condition:
        await condition.wait()


async def _group():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.Event().wait())


async def _again():
    async with guard, guard:
        pass


condition = asyncio.Condition()
guard = asyncio.Lock()

WAITS = {
    "event": (lambda: asyncio.Event().wait(), "asyncio.Event, which is not set, and nobody is left who could set it"),
    "queue": (_full, "which is full (1 of 1), and nobody is left who could take anything out of it"),
    "empty": (lambda: asyncio.Queue().get(), "asyncio.Queue, which is empty"),
    "barrier": (_barrier, "asyncio.Barrier, to which 1 of 2 have come"),
    "condition": (_condition, "asyncio.Condition `condition`, and nobody is left who could notify it"),
    "group": (_group, "the tasks of its asyncio.TaskGroup, which has not ended: alice/1"),
    "future": (lambda: asyncio.get_running_loop().create_future(), "a Future, which has no result"),
    "itself": (_again, "asyncio.Lock `guard`, taken by alice; alice waits for itself"),
}


@pytest.mark.parametrize("name", WAITS)
async def test_a_stall_says_what_the_actor_waits_for(explorer, name):
    wait, told = WAITS[name]
    record = await explorer.run(_waiting(wait), Order("alice bob"), origins=True)
    assert told in record.findings[0].message


async def test_a_lock_of_an_actor_that_has_ended_is_named_with_the_line_that_took_it(explorer):
    class Leaves(Bank):
        @actor
        async def alice(self) -> None:
            await point("called")
            left[:] = [asyncio.Lock()]  # each execution has its own, or it would be taken from the one before
            await left[0].acquire()

        @actor
        async def bob(self) -> None:
            await point("called")
            async with left[0]:
                pass

    left: list[asyncio.Lock] = []
    record = await explorer.run(Leaves(), Order("alice bob"), origins=True)
    stall = record.stalls[-1]
    assert [each.actor for each in record.stalls] == ["bob"], record.stalls
    (holder,) = stall.wants.holders
    assert (holder.actor, holder.ended) == ("alice", True)
    assert holder.place.endswith("await left[0].acquire()")
    assert "taken by alice, which ended and has not given it back" in record.findings[0].message
