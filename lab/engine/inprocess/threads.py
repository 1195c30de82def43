"""Threads of actors: one that went back to the event loop waits there for a task of the actor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import FrameType

import anyio.to_thread
from anyio._backends._asyncio import AsyncIOBackend

from lab.engine.inprocess.anyio_things import LIMITER
from lab.engine.inprocess.family import Family, Seen, method

__all__ = ["FAMILY", "THREAD"]

THREAD = "its thread"


def _thread(frame: FrameType, deeper: Sequence[FrameType]) -> Seen | None:
    if any(each.f_code is method(LIMITER.acquire_on_behalf_of) for each in deeper):  # there is no thread free
        return None
    return Seen(THREAD, ends=True)


FAMILY = Family(
    "threads",
    {
        method(asyncio.to_thread): _thread,
        method(anyio.to_thread.run_sync): _thread,
        method(AsyncIOBackend.run_sync_in_worker_thread): _thread,
    },
)
