"""What asyncio synchronises by: locks, semaphores, conditions, events, barriers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import FrameType

from lab.engine.inprocess.family import Family, Seen, kind_of, method, own

__all__ = ["FAMILY"]

_ACQUIRE = method(asyncio.Lock.acquire)


def _lock(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    return Seen(kind_of(own(frame), "asyncio"), own(frame))


def _semaphore(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    return Seen(kind_of(own(frame), "asyncio"), own(frame), "which has nothing left", "release it")


def _condition(frame: FrameType, deeper: Sequence[FrameType]) -> Seen | None:
    if any(each.f_code is _ACQUIRE for each in deeper):  # it was notified, and waits for the lock
        return None
    return Seen(kind_of(own(frame), "asyncio"), own(frame), "", "notify it")


def _event(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    return Seen(kind_of(own(frame), "asyncio"), own(frame), "which is not set", "set it")


def _barrier(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    barrier = own(frame)
    there = f"to which {barrier.n_waiting} of {barrier.parties} have come"
    return Seen(kind_of(barrier, "asyncio"), barrier, there, "come to it")


FAMILY = Family(
    "asyncio locks",
    {
        _ACQUIRE: _lock,
        method(asyncio.Semaphore.acquire): _semaphore,
        method(asyncio.Condition.wait): _condition,
        method(asyncio.Event.wait): _event,
        method(asyncio.Barrier.wait): _barrier,
    },
)
