"""What actors take of pools, and the locks that their sessions take: at the end it is seen what nobody gave back.

A connection of a pool counts as given back when code did that, by closing a session or a connection, and not when
Python collects who had it: when that is depends on all that ran before. So what is taken is held on to until the
execution has been judged. One that is closed already, by a fault or by who gave it up, hurts nobody any more.
"""

from __future__ import annotations

import asyncio.events
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from greenlet import getcurrent, greenlet
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

from lab.engine.gate import Actor, current_actor
from lab.engine.replaced import replaced
from lab.engine.watchdog import is_library
from lab.model.leak import Leak
from lab.postgres.connections.connection import LabConnection
from lab.postgres.connections.pool import ActorPool
from lab.postgres.locks.names import readable

__all__ = ["LOCKS_LEFT", "Taken"]

Place = tuple[str, int] | None
"""File and line of the user's code."""

_TAKES_A_LOCK = re.compile(r"\bpg_(?:try_)?advisory_lock(?:_shared)?\b", re.IGNORECASE)
"""What takes an advisory lock that outlives its transaction."""
LOCKS_LEFT = """SELECT pid, classid::bigint AS high, objid::bigint AS low, objsubid AS kind FROM pg_locks
WHERE locktype = 'advisory' AND granted AND pid = ANY($1::int[]) ORDER BY pid, high, low, kind"""


@dataclass(frozen=True, slots=True)
class _Taking:
    """A connection that an actor took from a pool of SQLAlchemy's."""

    proxy: Any
    """What the pool handed out. Held, so that no collector of garbage gives it back."""
    entry: object
    """The pool's own, which it hands out again. Held, lest another one gets its `id`."""
    driver: LabConnection
    session: Session | None
    """For which it was taken, if it was for one."""
    actor: str
    pool: str
    thing: str
    opened: Place
    used: Place

    @property
    def is_out(self) -> bool:
        """Whether nobody gave it back, and the connection is open."""
        return bool(self.proxy.is_valid) and not self.driver.is_closed()


class Taken:
    """Of the actors of one database, in the execution that runs, or ran last."""

    def __init__(self) -> None:
        self._taken: dict[int, _Taking] = {}
        """By the `id` of the pool's entry: the last that was taken of it."""
        self._locking: dict[int, tuple[str, Place]] = {}
        """Process id of a session that was asked for an advisory lock by name -> by whom, and where."""
        self._made: WeakKeyDictionary[Session, Place] = WeakKeyDictionary()
        """Where sessions were made."""

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """Notice where actors make sessions, until the block ends."""
        with replaced(AsyncSession, "__init__", self._making(AsyncSession.__init__)):
            yield

    def _making(self, real: Callable[..., None]) -> Callable[..., None]:
        def init(session: AsyncSession, *args: Any, **named: Any) -> None:
            real(session, *args, **named)
            if current_actor() is not None:
                self._made[session.sync_session] = _own_line()

        return init

    def takes(self, actor: Actor, proxy: Any, entry: object, pool: Pool, used: object) -> None:
        """A pool hands out a connection. `used` is the session or connection for which it does."""
        if actor.execution.closing:
            return
        line = _own_line()
        opened, thing = (self._made.get(used), "session") if isinstance(used, Session) else (line, "connection")
        driver, name = proxy.driver_connection, _name_of(pool)
        self._taken[id(entry)] = _Taking(
            proxy, entry, driver, used if isinstance(used, Session) else None, actor.name, name, thing, opened, line
        )

    def sends(self, actor: str, pid: int, statement: str) -> None:
        """An actor is about to send a statement."""
        if _takes_a_lock(statement):
            self._locking[pid] = actor, _own_line()

    def out(self) -> list[LabConnection]:
        """The connections that are not given back."""
        return [each.driver for each in self._taken.values() if each.is_out]

    async def left(
        self, connections: Iterable[LabConnection], sessions: Mapping[int, str], ask: Callable[..., Any], *, tidy: bool
    ) -> tuple[Leak, ...]:
        """What is left over now that all actors have ended. `sessions`: process id -> actor; `ask` asks the server.

        `tidy`: all statements surely left their sessions as they were, so there is no lock to ask for.
        """
        out = {each.driver: each for each in self._taken.values() if each.is_out}
        leaks = [
            Leak(each.actor, each.thing, _text(each.opened), _text(each.used), each.pool, driver.transaction_open)
            for driver, each in out.items()
        ]
        kept = [each for each in connections if each not in out and not each.is_closed() and each.pid in sessions]
        for each in kept:
            pool = "" if each._proxy is None else "asyncpg.Pool"  # noqa: SLF001 - its own word for what was released
            if each.transaction_open or pool:
                leaks.append(Leak(sessions[each.pid], "connection", pool=pool, in_transaction=each.transaction_open))
        asked = [] if tidy else [each.pid for each in kept if not each.transaction_open]
        if asked:
            held: dict[int, list[str]] = {}
            for pid, high, low, kind in await ask(LOCKS_LEFT, asked):
                held.setdefault(pid, []).append(readable(f"advisory lock [0,{high},{low},{kind}]", {}))
            for pid, keys in held.items():
                actor, line = self._locking.get(pid, (sessions[pid], None))  # a function or a trigger may have taken it
                leaks.append(Leak(actor, "session", used=_text(line), locks=tuple(dict.fromkeys(keys))))
        return tuple(leaks)

    def give_back(self) -> None:
        """Forget what was taken, and give back what is left of it. Those connections have been closed.

        A session may be one that the application keeps: in the next execution it begins anew.
        """
        for each in self._taken.values():
            if each.proxy.is_valid and each.session is not None:
                each.session.invalidate()
            if each.proxy.is_valid:
                each.proxy.invalidate()
        self._taken.clear()
        self._locking.clear()


def _name_of(pool: Pool) -> str:
    if isinstance(pool, ActorPool):  # the lab's own, which stands for the one that code has elsewhere
        return "its pool"
    size: Any = getattr(pool, "size", None)
    return type(pool).__name__ if size is None else f"{type(pool).__name__} (size {size()})"


@lru_cache(maxsize=2000)
def _takes_a_lock(statement: str) -> bool:
    return _TAKES_A_LOCK.search(statement) is not None


def _text(place: Place) -> str:
    return "" if place is None else f"{place[0]}:{place[1]}"


def _own_line() -> Place:
    """Where the running task is in code of the user's, through the greenlets of SQLAlchemy's core."""
    current: greenlet | None = getcurrent()
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001
    while current is not None:
        while frame is not None:
            filename = frame.f_code.co_filename
            if not _is_library(filename):
                return filename, frame.f_lineno
            if filename == asyncio.events.__file__:
                return None
            frame = frame.f_back
        current = current.parent
        frame = None if current is None else current.gr_frame
    return None


@lru_cache(maxsize=2000)
def _is_library(filename: str) -> bool:
    return is_library(filename) or "/anyio/" in filename
