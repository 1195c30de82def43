"""Work of actors in threads: an operation under way, which everybody waits for, since nothing else can be known of it.

A thread may go back to the event loop, and wait there for a coroutine (`anyio.from_thread.run`, or
`asyncio.run_coroutine_threadsafe` and the result of that). That is a task of the
actor like any other; until it ends, nothing is under way in the thread.

A thread that an actor starts by itself, and what it submits to an executor without the event loop, runs beside the
others: nothing says who waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import re
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import anyio

from lab.engine.execution import Execution
from lab.engine.gate import Actor, current_actor, running_as
from lab.engine.outside import Outside
from lab.engine.stalls import is_the_users

__all__ = [
    "Given",
    "anyio_thread",
    "asked_in_a_thread",
    "given_to_a_thread",
    "is_awaited_in_a_thread",
    "own_thread",
    "run_in_executor",
    "submitted",
    "thread_waits",
]

_INSTALLED = re.compile(r"/(?:site|dist)-packages/")
_ANYIO = str(Path(anyio.__file__).parent)
_GIVES = next(
    each for each in asyncio.run_coroutine_threadsafe.__code__.co_consts if getattr(each, "co_name", "") == "callback"
)
"""The code in which `asyncio.run_coroutine_threadsafe` makes its task, in the event loop."""


def anyio_thread(outside: Outside, real: Any) -> Any:
    """Anyio has worker threads of its own, behind this one method of its backend."""

    async def run_sync_in_worker_thread(cls: Any, *args: Any, **named: Any) -> Any:
        actor = current_actor()
        if actor is None:
            return await real.__func__(cls, *args, **named)
        outside.threads[_work(actor, args[0])] = None
        with actor.busy():
            return await real.__func__(cls, *args, **named)

    return classmethod(run_sync_in_worker_thread)


def run_in_executor(outside: Outside, real: Callable[..., Any]) -> Callable[..., Any]:
    """The event loop's own way to a thread."""

    def run(executor: Any, function: Callable[..., Any], *args: Any) -> Any:
        actor = current_actor()
        if actor is not None and isinstance(executor, ThreadPoolExecutor | None):
            outside.threads[_work(actor, function)] = None
            function = partial(contextvars.copy_context().run, function)  # it runs for the actor, as by `to_thread`
        with running_as(None):
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


def own_thread(execution: Execution, real: Callable[..., None]) -> Callable[[threading.Thread], None]:
    """A thread that an actor starts by itself may move it at any time. Those of pools wait for work and move nobody.

    It runs for the actor, so what it asks the event loop for is a task of the actor's.
    """
    loop = asyncio.get_running_loop()

    def start(thread: threading.Thread) -> None:
        actor = current_actor()
        if actor is not None and not _is_a_pools():
            execution.outside.starts_thread(actor, thread)
            work, context = thread.run, contextvars.copy_context()

            def run() -> None:
                try:
                    context.run(work)
                finally:
                    with contextlib.suppress(RuntimeError):  # the loop is closed: the thread outlived the execution
                        loop.call_soon_threadsafe(execution.arm)  # who waits for it may wait in vain now

            thread.run = run  # type: ignore[method-assign]
        real(thread)

    return start


def submitted(outside: Outside, real: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    """What an actor submits to an executor, without awaiting it by the event loop, may move it when it is done.

    In a thread it runs for the actor, as in one of its own.
    """

    def submit(executor: Executor, /, function: Callable[..., Any], *args: Any, **named: Any) -> Future[Any]:
        actor = current_actor()
        if actor is None:
            return real(executor, function, *args, **named)
        context, at = contextvars.copy_context(), list[threading.Thread]()

        def work(*args: Any, **named: Any) -> Any:
            at.append(thread := threading.current_thread())
            outside.own_threads.add(thread)
            try:
                return context.run(function, *args, **named)
            finally:
                outside.own_threads.discard(thread)

        future = real(executor, work if isinstance(executor, ThreadPoolExecutor) else function, *args, **named)
        outside.started(actor, lambda: not future.done() and outside.blocked.isdisjoint(at))
        return future

    return submit


def _is_a_pools() -> bool:
    """Whether an executor or anyio starts a thread: it waits for work between times, and is of no class of its own."""
    names = (str(each.f_globals.get("__name__", "")) for each in _callers())
    return next(each for each in names if not each.startswith("lab.")).startswith(("concurrent.futures.", "anyio."))


def _work(actor: Actor, function: Callable[..., Any]) -> str:
    """What an actor does in a thread, as a phrase: who, the function, and the line that hands it over."""
    while isinstance(function, partial):  # `to_thread` hands over one, of a context's `run`
        function = function.args[0] if getattr(function.func, "__name__", "") == "run" else function.func
    called = getattr(function, "__qualname__", type(function).__qualname__)
    frames = [each for each in _callers() if is_the_users(each)]
    own = [each for each in frames if not _INSTALLED.search(each.f_code.co_filename)] or frames
    where = f" ({Path(own[0].f_code.co_filename).name}:{own[0].f_lineno})" if own else ""
    return f"{actor.root.name} does in a thread: {called}{where}"


def _callers() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - nothing public goes through the frames without a list
    while frame is not None:
        yield frame
        frame = frame.f_back


def is_awaited_in_a_thread(coro: Coroutine[Any, Any, Any], actor: Actor) -> bool:
    """Whether a thread of the actor's waits for a task that would run this; only anyio waits for certain."""
    code = getattr(coro, "cr_code", None)
    return actor.flights > 0 and code is not None and code.co_filename.startswith(_ANYIO)


Given = dict["Future[Any]", "asyncio.Future[Any]"]
"""What `asyncio.run_coroutine_threadsafe` gave to a thread -> the task that it made."""


def given_to_a_thread() -> Future[Any] | None:
    """What `asyncio.run_coroutine_threadsafe`, if it makes a task just now, gave to the thread that called it."""
    frame = next((each for each in _callers() if each.f_code is _GIVES), None)
    return None if frame is None else frame.f_locals["future"]


def asked_in_a_thread(outside: Outside, given: Given, real: Callable[..., Any]) -> Callable[..., Any]:
    """A thread of an actor's that asks for the result of such a task waits for the task from then on.

    Where it asks with a timeout, in real time, nobody knows for how long it waits, so the thread counts as at work.
    """
    loop, here = asyncio.get_running_loop(), threading.get_ident()

    def waits(actor: Actor, future: Future[Any], thread: threading.Thread) -> None:
        task = given.get(future)
        if task is None or task.done():
            return
        if thread in outside.own_threads:
            outside.blocked.add(thread)
            task.add_done_callback(lambda _: outside.blocked.discard(thread))  # before the thread can know of it
            actor.execution.arm()
        elif actor.flights and task not in actor.execution.in_threads:  # one thread waits for it
            thread_waits(actor, task)

    def result(future: Future[Any], timeout: float | None = None) -> Any:
        actor = current_actor()
        if actor is not None and timeout is None and threading.get_ident() != here and not future.done():
            # after the callback that makes the task
            loop.call_soon_threadsafe(waits, actor, future, threading.current_thread())
        return real(future, timeout)

    return result


def thread_waits(actor: Actor, task: asyncio.Future[Any]) -> None:
    """Nothing is under way in the actor's thread until the task is done. Call it before the thread can know of that."""

    def goes_on(_: object) -> None:
        actor.running_again()
        actor.flights += 1

    actor.flights -= 1
    actor.execution.in_threads[task] = actor
    actor.execution.arm()
    task.add_done_callback(goes_on)
