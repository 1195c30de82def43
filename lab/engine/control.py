"""Takes hold of the event loop for the time of one execution, for the code of actors only.

Three things must not happen behind the engine's back: an actor starts a task, sleeps, or hands work to a
thread. Each is caught at the one place in asyncio through which every spelling of it goes (`asyncio.sleep`
and `from asyncio import sleep`, anyio's and asyncio's task groups, `gather`, `wait_for`), so nothing has to
be patched in anybody's module. Code that is not an actor's is passed through untouched, and everything is put
back at the end.

- Tasks: the loop's task factory.
- `sleep(0)`: asyncio's private `__sleep0`. `sleep(seconds)`: `loop.call_later` with asyncio's private
  callback for it.
- Timeouts: `loop.call_at`, to which `call_later` leads too. They are set on the actors' clock.
- Threads: `loop.run_in_executor`, and the one method behind anyio's, count as an operation under way, so the
  engine waits for them. What an actor starts in another way (`Thread`, `Executor.submit`) runs by itself.

The loop's selector is stood before as well: that asyncio asks it to sleep is how the engine learns that nothing is
ready to run.
"""

from __future__ import annotations

import asyncio
import asyncio.futures
import asyncio.tasks
import contextlib
import contextvars
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from anyio._backends._asyncio import AsyncIOBackend

from lab.engine.execution import Execution
from lab.engine.gate import Actor, State, arrive, become, current_actor, running_as
from lab.engine.loop_guard import CALLBACKS, kept_alive
from lab.engine.ports import Libraries
from lab.engine.replaced import replaced
from lab.engine.threads import (
    Given,
    anyio_thread,
    asked_in_a_thread,
    given_to_a_thread,
    is_awaited_in_a_thread,
    own_thread,
    run_in_executor,
    submitted,
    thread_waits,
)
from lab.engine.watchdog import leave_if_forked
from lab.errors import UsageError
from lab.model.trace import Action, ActionKind

__all__ = ["controlled"]

_SELECTOR, _SLEEP0 = "_selector", "__sleep0"
_THREAD = "run_sync_in_worker_thread"
_WAKE_SLEEPER = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined]  # noqa: SLF001
_ASYNCIO = str(Path(asyncio.__file__).parent)


class _Asleep:
    """Stands in for the timer of a sleep; the sleeper cancels it when it is woken in another way."""

    def __init__(self, actor: Actor, gate: asyncio.Future[Any]) -> None:
        self._actor, self._gate = actor, gate

    def cancel(self) -> None:
        if self._actor.gate is self._gate:
            self._actor.gate = self._actor.wakes = None
            self._actor.running_again()


@contextlib.contextmanager
def controlled(execution: Execution, libraries: Libraries) -> Iterator[None]:
    """Catch tasks, sleeps and threads of actors until the block ends. Raises `UsageError` for a foreign loop."""
    loop = asyncio.get_running_loop()
    if not hasattr(loop, "_ready"):
        raise UsageError(
            f"the lab needs asyncio's own event loop, and {type(loop).__module__} is not it: "
            "run this test with anyio_backend 'asyncio' and without uvloop"
        )
    selector: Any = getattr(loop, _SELECTOR)
    before = loop.get_task_factory()
    given: Given = {}
    loop.set_task_factory(_task_factory(execution, libraries, given, before))
    with (
        kept_alive(execution, loop),
        replaced(selector, "select", _select(execution, selector.select)),
        replaced(loop, "call_later", _call_later(execution, loop.call_later)),
        replaced(loop, "call_at", _call_at(execution, libraries, loop)),
        replaced(loop, "run_in_executor", run_in_executor(execution.outside, loop.run_in_executor)),
        replaced(threading.Thread, "start", own_thread(execution, threading.Thread.start)),
        replaced(ThreadPoolExecutor, "submit", submitted(execution.outside, ThreadPoolExecutor.submit)),
        replaced(ProcessPoolExecutor, "submit", submitted(execution.outside, ProcessPoolExecutor.submit)),
        replaced(loop, "subprocess_exec", _subprocess(execution, loop.subprocess_exec)),
        replaced(loop, "subprocess_shell", _subprocess(execution, loop.subprocess_shell)),
        replaced(Future, "result", asked_in_a_thread(execution.outside, given, Future.result)),
        replaced(AsyncIOBackend, _THREAD, anyio_thread(execution.outside, vars(AsyncIOBackend)[_THREAD])),
        replaced(asyncio.tasks, _SLEEP0, _sleep0(getattr(asyncio.tasks, _SLEEP0))),
    ):
        try:
            yield
        finally:
            loop.set_task_factory(before)


def _select(execution: Execution, real: Callable[[float | None], list[Any]]) -> Callable[..., list[Any]]:
    process = os.getpid()

    def select(timeout: float | None = None) -> list[Any]:
        if os.getpid() != process:
            leave_if_forked(process)
        if (timeout is not None and timeout <= 0) or not execution.needs_a_look():
            return real(timeout)
        if events := real(0):
            return events
        return [] if execution.runs_dry() else real(timeout)

    return select


def _task_factory(
    execution: Execution, libraries: Libraries, given: Given, before: Callable[..., Any] | None
) -> Callable[..., Any]:
    make = before or _plain_task

    def factory(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Future[Any]:
        parent = current_actor()
        if parent is None or parent.execution is not execution or _is_of_itself(coro, libraries.driver):
            return make(loop, coro, **options)  # type: ignore[no-any-return]
        awaited = False
        if _is_of(coro, libraries.sessions) and _called_from(libraries.sessions):
            actor = parent
        else:
            actor = execution.adopt(parent)
            context = options.setdefault("context", contextvars.copy_context())
            context.run(become, actor)
            awaited = is_awaited_in_a_thread(coro, parent)
            coro = _Kept(coro, actor.name, execution.lost)
        task: asyncio.Task[Any] = make(loop, coro, **options)
        actor.lives_in(task)
        if awaited:
            thread_waits(parent, task)
        elif (parent.flights or execution.outside.own_threads) and (future := given_to_a_thread()) is not None:
            given[future] = task
        return task

    return factory


class _Kept(Coroutine[Any, Any, Any]):
    """What a task of an actor runs, kept from ending the event loop: two exceptions would, when they leave a task.

    The task is cancelled instead, so whoever waits for it does not go on; what it raised is the outcome's business. Not
    written as `async def`: a task that is cancelled before it began would leave its coroutine unawaited.
    """

    def __init__(self, coro: Coroutine[Any, Any, Any], name: str, lost: dict[str, BaseException]) -> None:
        self._coro, self._name, self._lost = coro, name, lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coro, name)

    def __await__(self) -> Any:
        return self._coro.__await__()

    def send(self, value: Any) -> Any:
        try:
            return self._coro.send(value)
        except (KeyboardInterrupt, SystemExit) as error:
            raise self._instead(error) from error

    def throw(self, *error: Any) -> Any:
        try:
            return self._coro.throw(*error)
        except (KeyboardInterrupt, SystemExit) as raised:
            raise self._instead(raised) from raised

    def close(self) -> None:
        self._coro.close()

    def _instead(self, error: BaseException) -> asyncio.CancelledError:
        self._lost[self._name] = error
        return asyncio.CancelledError(f"a task raised {type(error).__name__}")


def _plain_task(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> Any:
    return asyncio.Task(coro, loop=loop, **options)


def _is_of(coro: Coroutine[Any, Any, Any], folder: str) -> bool:
    """Whether a task would run a library's own coroutine."""
    code = getattr(coro, "cr_code", None)
    return code is not None and code.co_filename.startswith(folder)


def _is_of_itself(coro: Coroutine[Any, Any, Any], folder: str) -> bool:
    """Whether a library starts a task for a coroutine of its own, from its code or in a callback of the loop."""
    return _is_of(coro, folder) and _caller().startswith((folder, CALLBACKS))


def _called_from(folder: str) -> bool:
    """Whether the library itself starts the task; `gather(session.execute(…), …)` in user code does not."""
    return _caller().startswith(folder)


def _caller() -> str:
    """The file of the code that called asyncio."""
    frame = sys._getframe(1)  # noqa: SLF001
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_ASYNCIO, __file__)):
        frame = frame.f_back
    return frame.f_code.co_filename


def _call_later(execution: Execution, real: Callable[..., Any]) -> Callable[..., Any]:
    def call_later(
        delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Any:
        actor = current_actor()
        if callback is not _WAKE_SLEEPER or actor is None or actor.execution.closing:
            return real(delay, callback, *args, context=context)
        gate, actor.gate_value = args
        actor.wakes = execution.clock.time.after(delay)
        actor.action = Action(ActionKind.SLEEP, f"{delay:g}")
        actor.gate = gate
        actor.state = State.PARKED
        actor.execution.settled(actor)
        return _Asleep(actor, gate)

    return call_later


def _call_at(execution: Execution, libraries: Libraries, loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    """Timers that are not sleeps: those of actors are set on their clock. `call_later` comes here as well.

    The driver sets some for itself, such as those that forget a prepared statement: they are no actor's and stay real.
    So does that of a SQLAlchemy pool for whoever waits for a connection: such a wait is a stall, which says more than
    the error at its end.
    """
    real: Callable[..., Any] = loop.call_at

    def call_at(
        when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Any:
        actor = current_actor()
        if actor is None or actor.execution.closing:
            return real(when, callback, *args, context=context)
        if not (_called_from(libraries.driver) or _called_from(libraries.sessions)):
            return execution.clock.call_at(actor, when, callback, *args, context=context)
        ahead = when - execution.clock.monotonic()
        with running_as(None):
            return real(loop.time() + ahead, callback, *args, context=context)

    return call_at


def _sleep0(real: Callable[[], Any]) -> Callable[[], Any]:
    async def sleep0() -> None:
        actor = current_actor()
        if actor is None or actor.flights:  # anyio makes one on the way to a thread, which is not a point of the user's
            await real()
        elif actor.execution.may_pass(actor):
            actor.passed += 1
            await real()
        else:
            await arrive(Action(ActionKind.SLEEP, "0"))

    return sleep0


def _subprocess(execution: Execution, real: Callable[..., Any]) -> Callable[..., Any]:
    """A process that an actor started is outside the lab's control: waiting for it is not a stall."""

    async def subprocess(*args: Any, **options: Any) -> Any:
        actor = current_actor()
        if actor is None:
            return await real(*args, **options)
        with actor.busy():
            transport, protocol = await real(*args, **options)
        execution.outside.started(actor, lambda: transport.get_returncode() is None)
        return transport, protocol

    return subprocess
