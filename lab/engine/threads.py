"""Work of actors in threads: an operation under way, which everybody waits for, since nothing else can be known of it.

A thread may go back to the event loop, and wait there for a coroutine (`anyio.from_thread.run`). That is a task of the
actor like any other; until it ends, nothing is under way in the thread.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from lab.engine.gate import Actor, current_actor

__all__ = ["anyio_thread", "is_awaited_in_a_thread", "run_in_executor", "thread_waits"]

_ANYIO = str(Path(anyio.__file__).parent)


def anyio_thread(real: Any) -> Any:
    """Anyio has worker threads of its own, behind this one method of its backend."""

    async def run_sync_in_worker_thread(cls: Any, *args: Any, **named: Any) -> Any:
        actor = current_actor()
        if actor is None:
            return await real.__func__(cls, *args, **named)
        with actor.busy():
            return await real.__func__(cls, *args, **named)

    return classmethod(run_sync_in_worker_thread)


def run_in_executor(real: Callable[..., Any]) -> Callable[..., Any]:
    """The event loop's own way to a thread."""

    def run(executor: Any, function: Callable[..., Any], *args: Any) -> Any:
        actor = current_actor()
        if actor is not None and isinstance(executor, ThreadPoolExecutor | None):
            function = partial(contextvars.copy_context().run, function)  # it runs for the actor, as by `to_thread`
        future = real(executor, function, *args)
        if actor is not None:
            actor.running_again()  # released by another actor, it may come here without having parked
            actor.flights += 1
            future.add_done_callback(lambda _: landed(actor))
        return future

    def landed(actor: Actor) -> None:
        actor.flights -= 1
        actor.running_again()
        actor.execution.arm()

    return run


def is_awaited_in_a_thread(coro: Coroutine[Any, Any, Any], actor: Actor) -> bool:
    """Whether a thread of the actor's waits for a task that would run this; only anyio waits for certain."""
    code = getattr(coro, "cr_code", None)
    return actor.flights > 0 and code is not None and code.co_filename.startswith(_ANYIO)


def thread_waits(actor: Actor, task: asyncio.Future[Any]) -> None:
    """Nothing is under way in the actor's thread until the task is done. Call it before the thread can know of that."""

    def goes_on(_: object) -> None:
        actor.running_again()
        actor.flights += 1

    actor.flights -= 1
    actor.execution.in_threads[task] = actor
    actor.execution.arm()
    task.add_done_callback(goes_on)
