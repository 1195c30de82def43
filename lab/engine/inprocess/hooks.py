"""Notes who takes locks and semaphores, and gives them back, for the time of an execution that is reported.

Each way to one is met at its class. What is called goes on to the real method and awaits nothing else, so there is not
one turn of the event loop more. A condition that was made before holds its lock's methods already, so it is met itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import anyio

from lab.engine.inprocess.anyio_things import LIMITER, LOCK, SEMAPHORE
from lab.engine.replaced import replaced

__all__ = ["noted"]

Note = Callable[[object], object]


@contextlib.contextmanager
def noted(takes: Note, gives: Note) -> Iterator[None]:
    """Until the block ends, call these with what is taken and given back, by whomever."""
    with contextlib.ExitStack() as stack:
        for owner, name, made in (
            *((kind, "acquire", _taking) for kind in (asyncio.Lock, asyncio.Semaphore, LOCK, SEMAPHORE)),
            *((kind, "acquire_nowait", _taking_now) for kind in (LOCK, SEMAPHORE)),
            *((kind, "release", _giving) for kind in (asyncio.Lock, asyncio.Semaphore, LOCK, SEMAPHORE)),
            (LIMITER, "acquire_on_behalf_of", _taking),
            (LIMITER, "release_on_behalf_of", _giving),
            *((kind, "__aenter__", _taking) for kind in (asyncio.Condition, anyio.Condition)),
            *((kind, "__aexit__", _leaving) for kind in (asyncio.Condition, anyio.Condition)),
            *((kind, "wait", _apart) for kind in (asyncio.Condition, anyio.Condition)),
        ):
            stack.enter_context(replaced(owner, name, made(getattr(owner, name), takes, gives)))
        yield


def _taking(real: Any, takes: Note, gives: Note) -> Any:
    async def acquire(self: Any, *args: Any) -> Any:
        result = await real(self, *args)
        takes(self)
        return result

    return acquire


def _taking_now(real: Any, takes: Note, gives: Note) -> Any:
    def acquire_nowait(self: Any) -> Any:
        result = real(self)
        takes(self)
        return result

    return acquire_nowait


def _giving(real: Any, takes: Note, gives: Note) -> Any:
    def release(self: Any, *args: Any) -> Any:
        result = real(self, *args)
        gives(self)
        return result

    return release


def _leaving(real: Any, takes: Note, gives: Note) -> Any:
    async def aexit(self: Any, *error: Any) -> Any:
        gives(self)
        return await real(self, *error)

    return aexit


def _apart(real: Any, takes: Note, gives: Note) -> Any:
    """A condition's `wait` gives its lock back meanwhile."""

    async def wait(self: Any) -> Any:
        gives(self)
        try:
            return await real(self)
        finally:
            takes(self)

    return wait
