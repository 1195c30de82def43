"""Notices when two tasks use one session or connection at the same time, which SQLAlchemy and asyncpg forbid.

A session is in use from the call of one of its coroutine methods to the end of it. Whether two such times overlap in
production depends on how long a connection takes to open and a statement to be answered, so most of the time nothing
comes of it: SQLAlchemy and asyncpg raise an error only where it goes wrong at once. Here each use is looked at.

All coroutine methods of a session or connection of SQLAlchemy's go through one function, which is replaced for the time
of an execution. What is given to asyncpg itself is noticed on the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy.engine import Connection, Transaction
from sqlalchemy.ext.asyncio import engine as async_engine
from sqlalchemy.ext.asyncio import session as async_session
from sqlalchemy.orm import Session, SessionTransaction, object_session

from lab.engine.gate import Actor, current_actor
from lab.engine.replaced import replaced
from lab.engine.stalls import line_of_task
from lab.engine.watchdog import is_library, line_of
from lab.model.record import Sharing

__all__ = ["Uses"]

SPAWN = "greenlet_spawn"
"""How SQLAlchemy's asyncio layer runs a method of its synchronous core."""


@dataclass(frozen=True, slots=True)
class _Use:
    """What one task does with a session or connection."""

    actor: Actor
    task: asyncio.Task[Any] | None
    used: object
    place: tuple[str, int] | None
    """File and line of the user's code; None where a task runs nothing but a library's method."""

    @property
    def line(self) -> str:
        return line_of_task(self.actor.root.task) if self.place is None else line_of(*self.place)


class _Using(contextlib.AbstractContextManager[None]):
    """What `Uses.of` returns. There are dozens in an execution, so it is no generator."""

    __slots__ = ("_actor", "_is_outermost", "_name", "_now", "_others", "_outermost", "_use", "_used")

    def __init__(
        self,
        now: dict[int, list[_Use]],
        outermost: dict[asyncio.Task[Any] | None, _Use],
        actor: Actor,
        used: object,
        name: str,
    ) -> None:
        self._now, self._outermost = now, outermost
        self._actor, self._used, self._name = actor, used, name

    def __enter__(self) -> None:
        task = asyncio.current_task()
        use = self._outermost.get(task)
        self._is_outermost = use is None
        if use is None:
            use = self._outermost[task] = _Use(self._actor, task, self._used, _own_line())
        self._use = use
        others = self._others = self._now.setdefault(id(self._used), [])
        for other in others:
            if other.task is not task:
                _report(other, use, self._name)
                break
        others.append(use)

    def __exit__(self, *_: object) -> None:
        self._others.remove(self._use)
        if not self._others:
            self._now.pop(id(self._used), None)
        if self._is_outermost:
            self._outermost.pop(self._use.task, None)


_NOBODY = contextlib.nullcontext()


class Uses:
    """The sessions and connections that tasks of actors are using now."""

    def __init__(self) -> None:
        self._now: dict[int, list[_Use]] = {}
        """By the `id` of what is used."""
        self._outermost: dict[asyncio.Task[Any] | None, _Use] = {}

    def of(self, used: object, name: str = "asyncpg connection") -> contextlib.AbstractContextManager[None]:
        """The time in which the running task uses something; nested uses of a task are one. `name` is for a reader."""
        actor = current_actor()
        if actor is None or actor.execution.closing:
            return _NOBODY
        return _Using(self._now, self._outermost, actor, used, name)

    def now(self) -> object:
        """The session or connection that the running task uses, if it does."""
        use = self._outermost.get(asyncio.current_task())
        return None if use is None else use.used

    @contextlib.contextmanager
    def noticed(self) -> Iterator[None]:
        """Notice uses of SQLAlchemy's sessions and connections until the block ends."""
        self._now.clear()
        self._outermost.clear()
        spawn = self._spawn(vars(async_session)[SPAWN])
        with replaced(async_session, SPAWN, spawn), replaced(async_engine, SPAWN, spawn):
            yield

    def _spawn(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def spawn(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
            if current_actor() is None or (used := _used_by(function, args)) is None:
                return await real(function, *args, **named)
            with self.of(used, "AsyncSession" if isinstance(used, Session) else "AsyncConnection"):
                return await real(function, *args, **named)

        return spawn


def _used_by(function: Callable[..., Any], args: tuple[Any, ...]) -> Session | Connection | None:
    """Whose method it is, or to which session or connection a function of the user's is applied."""
    if function is getattr and not isinstance(args[0], Connection):  # an attribute of a mapped object
        return object_session(args[0])
    for each in (getattr(function, "__self__", None), *args[:1]):
        if isinstance(each, Session | Connection):
            return each
        if isinstance(each, SessionTransaction):
            return each.session
        if isinstance(each, Transaction):
            return each.connection
    return None


def _own_line() -> tuple[str, int] | None:
    """Where the running task is in code of the user's."""
    frame = sys._getframe(2)  # noqa: SLF001
    while frame is not None:
        if not _is_library(frame.f_code.co_filename):
            return frame.f_code.co_filename, frame.f_lineno
        if frame.f_code.co_filename == asyncio.events.__file__:
            return None
        frame = frame.f_back  # type: ignore[assignment]
    return None


@lru_cache(maxsize=2000)
def _is_library(filename: str) -> bool:
    return is_library(filename) or "/anyio/" in filename


def _report(first: _Use, second: _Use, name: str) -> None:
    found = second.actor.execution.sharings
    pair = {first.actor.name, second.actor.name}
    if not any(pair == {each.first, each.second} for each in found):
        found.append(Sharing(name, first.actor.name, first.line, second.actor.name, second.line))
