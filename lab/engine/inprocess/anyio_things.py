"""What anyio synchronises by, on asyncio: its locks and limiters know themselves which task has them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from types import FrameType
from typing import Any

import anyio
from anyio._backends._asyncio import AsyncIOBackend, _task_states
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from lab.engine.inprocess.family import Family, Seen, kind_of, method, own

__all__ = ["FAMILY", "LIMITER", "LOCK", "SEMAPHORE", "scope_of"]

LOCK = type(AsyncIOBackend.create_lock(fast_acquire=False))
SEMAPHORE = type(AsyncIOBackend.create_semaphore(1))
LIMITER = type(AsyncIOBackend.create_capacity_limiter(1))
"""The classes that stand behind anyio's own on asyncio."""
_EVENT = type(AsyncIOBackend.create_event())
_GROUP = type(AsyncIOBackend.create_task_group())


def _lock(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    owner = own(frame).statistics().owner
    return Seen("anyio.Lock", own(frame), owners=() if owner is None else (owner.id,))


def _semaphore(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    return Seen("anyio.Semaphore", own(frame), "which has nothing left", "release it")


def _limiter(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    limiter = own(frame)
    state = limiter.statistics()
    full = f"which has nothing left (of {state.total_tokens})"
    borrowers = tuple(each for each in state.borrowers if isinstance(each, asyncio.Task))
    return Seen("anyio.CapacityLimiter", limiter, full, "give back what it has", borrowers)


def _event(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    return Seen("anyio.Event", own(frame), "which is not set", "set it")


def _condition(frame: FrameType, deeper: Sequence[FrameType]) -> Seen | None:
    if any(each.f_code is method(LOCK.acquire) for each in deeper):  # it was notified, and waits for the lock
        return None
    return Seen("anyio.Condition", own(frame), "", "notify it")


def _receive(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    return Seen(kind_of(own(frame), "anyio"), own(frame), "in which there is nothing", "send anything")


def _send(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    state = own(frame).statistics()
    full = f"which is full ({state.current_buffer_used} of {state.max_buffer_size})"
    return Seen(kind_of(own(frame), "anyio"), own(frame), full, "receive anything")


def _group(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    tasks = own(frame)._tasks  # noqa: SLF001 - nothing public says it
    return Seen("the tasks of its anyio.TaskGroup", owners=tuple(t for t in tasks if not t.done()), ends=True)


FAMILY = Family(
    "anyio",
    {
        method(LOCK.acquire): _lock,
        method(SEMAPHORE.acquire): _semaphore,
        method(LIMITER.acquire_on_behalf_of): _limiter,
        method(_EVENT.wait): _event,
        method(anyio.Condition.wait): _condition,
        method(MemoryObjectReceiveStream.receive): _receive,
        method(MemoryObjectSendStream.send): _send,
        method(_GROUP.__aexit__): _group,
    },
)


def scope_of(task: asyncio.Task[Any] | None) -> anyio.CancelScope | None:
    """The innermost scope in which a task is and that may be cancelled; None if there is none, or it is already.

    A shield is there to keep cancellations out. One without a deadline is passed by: what cancels is around it.
    """
    state = None if task is None else _task_states.get(task)
    scope = None if state is None else state.cancel_scope
    while scope is not None and scope.shield and scope.deadline == math.inf:
        scope = scope._parent_scope  # noqa: SLF001 - nothing public says it
    return None if scope is None or scope.cancel_called else scope
