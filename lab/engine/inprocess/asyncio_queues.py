"""Queues of asyncio: an empty one is waited for by whoever takes, a full one by whoever puts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import FrameType

from lab.engine.inprocess.family import Family, Seen, kind_of, method, own

__all__ = ["FAMILY"]


def _get(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    return Seen(kind_of(own(frame), "asyncio"), own(frame), "which is empty", "put anything into it")


def _put(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    queue = own(frame)
    full = f"which is full ({queue.qsize()} of {queue.maxsize})"
    return Seen(kind_of(queue, "asyncio"), queue, full, "take anything out of it")


def _join(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    return Seen(kind_of(own(frame), "asyncio"), own(frame), "of which not all is done", "call its task_done")


FAMILY = Family(
    "asyncio queues",
    {
        method(asyncio.Queue.get): _get,
        method(asyncio.Queue.put): _put,
        method(asyncio.Queue.join): _join,
    },
)
