"""The table of families, and what a stack of frames says by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import CodeType, FrameType
from typing import Any

from lab.engine.inprocess import anyio_things, asyncio_locks, asyncio_queues, asyncio_tasks, threads
from lab.engine.inprocess.family import Family, Look, Seen
from lab.engine.ports import AnyPool

__all__ = ["FAMILIES", "seen_in"]

FAMILIES: tuple[Family, ...] = (
    asyncio_locks.FAMILY,
    asyncio_queues.FAMILY,
    asyncio_tasks.FAMILY,
    anyio_things.FAMILY,
    threads.FAMILY,
)
_LOOKS: dict[CodeType, Look] = {code: look for family in FAMILIES for code, look in family.looks.items()}


def seen_in(
    task: asyncio.Task[Any], frames: Sequence[FrameType], pool_among: Callable[[Iterable[object]], AnyPool | None]
) -> tuple[Seen, list[object]]:
    """What a task waits for, and whose methods it goes through: an adapter leads to the lock behind it.

    `frames` are those of libraries at the end of its stack, from outside in: the outermost that knows it says it.
    """
    through: list[object] = []
    owners = [frame.f_locals.get("self") for frame in frames]
    if (pool := pool_among(owners)) is not None:
        what = f"a connection of {pool.name}"
        return Seen(what, pool.pool, pool.state, "give one back", named=False), [pool.pool]
    for number, frame in enumerate(frames):
        if owners[number] is not None:
            through.append(owners[number])
        look = _LOOKS.get(frame.f_code)
        if look is not None and (seen := look(frame, frames[number + 1 :])) is not None:
            return seen, through
    return asyncio_tasks.awaits(getattr(task, "_fut_waiter", None)), []
