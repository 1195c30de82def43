"""Keeps an actor from ending what it runs in: the event loop, and the room that its own stack needs.

An actor may stop the loop, leave it by `SystemExit` in a callback, or lower the interpreter's recursion limit below
what a statement takes. The first two end the execution with a sentence that names the actor; a limit is put back.
"""

from __future__ import annotations

import asyncio
import asyncio.events
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

from lab.engine.execution import Execution
from lab.engine.gate import actor_in, current_actor
from lab.engine.replaced import replaced
from lab.engine.watchdog import place_in, place_of
from lab.errors import Interrupted, first_line

__all__ = ["CALLBACKS", "kept_alive"]

CALLBACKS = __file__
"""The file from which every callback of the event loop is called during an execution."""

_LOG = logging.getLogger("asyncio")
"""Where asyncio itself would say it."""


_LEFT = "exception was never retrieved"
"""How asyncio's message about a future ends, when it is collected."""


@contextlib.contextmanager
def kept_alive(execution: Execution, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """For the time of the block: actors cannot end the event loop, and a lowered recursion limit is put back."""
    limit = sys.getrecursionlimit()
    with (
        replaced(loop, "stop", _stop(execution, loop.stop)),
        replaced(loop, "call_exception_handler", _call_exception_handler(loop, loop.call_exception_handler)),
        replaced(asyncio.events.Handle, "_run", _run(execution, asyncio.events.Handle._run)),  # noqa: SLF001
        replaced(sys, "unraisablehook", _unraisable(sys.unraisablehook)),
    ):
        try:
            yield
        finally:
            if sys.getrecursionlimit() < limit:
                sys.setrecursionlimit(limit)


def _stop(execution: Execution, real: Callable[[], None]) -> Callable[[], None]:
    def stop() -> None:
        actor = current_actor()
        if actor is None:
            real()
        else:
            execution.broken_off(f"{actor.name} stopped the event loop: {place_in(sys._getframe(1))}")  # noqa: SLF001

    return stop


def _call_exception_handler(
    loop: asyncio.AbstractEventLoop, real: Callable[[dict[str, Any]], None]
) -> Callable[[dict[str, Any]], None]:
    """What a callback of an actor's raised is said in one line; asyncio would write a traceback.

    So is the error of a future that nobody asked for it, once in an execution: whose it was is not known any more.
    """
    left: set[str] = set()

    def call_exception_handler(context: dict[str, Any]) -> None:
        handle, error = context.get("handle"), context.get("exception")
        actor = None if handle is None else actor_in(handle._context)  # noqa: SLF001 - as below
        if error is not None and loop.get_exception_handler() is None and context.get("message", "").endswith(_LEFT):
            if (said := first_line(error)) not in left:
                left.add(said)
                _LOG.error("a future or task of an actor failed, and nobody asked for its error: %s", said)
            return
        if actor is None or error is None:
            real(context)
            return
        if (handler := loop.get_exception_handler()) is not None:
            try:
                handler(loop, context)
            except Exception as raised:  # noqa: BLE001 - said instead
                error = raised
            else:
                return
        _LOG.error("%s raised %s in a callback of the event loop: %s", actor.name, first_line(error), place_of(error))

    return call_exception_handler


def _unraisable(real: Callable[[Any], None]) -> Callable[[Any], None]:
    """Where an actor's stack is full, what is collected there cannot be warned of. The actor's own error says it."""

    def unraisable(what: Any) -> None:
        if not isinstance(what.exc_value, RecursionError):
            real(what)

    return unraisable


def _run(execution: Execution, real: Callable[[Any], None]) -> Callable[[Any], None]:
    """A callback that an actor handed to the loop: the loop lets two exceptions through, and ends with them."""

    def run(handle: Any) -> None:
        try:
            real(handle)
        except (KeyboardInterrupt, SystemExit) as error:
            actor = actor_in(handle._context)  # noqa: SLF001 - nothing public says whose a callback is
            if actor is None or isinstance(error, Interrupted):
                raise
            place = place_of(error, f"{handle._callback!r}")  # noqa: SLF001 - it may have no line: `sys.exit` itself
            execution.broken_off(f"{actor.name} raised {type(error).__name__} in a callback of the event loop: {place}")

    return run
