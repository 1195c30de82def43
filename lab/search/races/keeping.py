"""Keeps what a call was given, as `lab.search.races.given` has it; what can exist only once is refused."""

from __future__ import annotations

import asyncio
import copy
import inspect
import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any
from unittest.mock import NonCallableMock

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    AsyncSessionTransaction,
    AsyncTransaction,
    async_scoped_session,
    async_sessionmaker,
)
from sqlalchemy.orm import Session

from lab.search.races.actions import unwrapped
from lab.search.races.given import Given, Holding, Opened, Plain, Row, state_of

__all__ = ["NotGiven", "flush", "kept"]

DEEPEST = 8
"""Levels of values in values; what lies deeper is taken for plain."""
_ONCE = (
    *(asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.Queue, asyncio.Future),
    *(io.IOBase, NonCallableMock, async_scoped_session, Session, Connection),
    *(AsyncSessionTransaction, AsyncTransaction),
    *(asyncio.AbstractEventLoop, asyncio.Transport),
)
_MOST_SEEN = 5000
_IN_C = tuple(each.__module__ for each in (io.FileIO, asyncio.Future, type(threading.Lock())))
_FOREIGN = ("sqlalchemy.", "asyncpg.", "builtins", "asyncio.", "logging", *_IN_C)


class NotGiven(Exception):
    """A value cannot be given twice."""


def kept(value: Any, *, receiver: bool = False) -> Given:
    """A value as it is now, to be given again. Raises `NotGiven`.

    Of a `receiver`, the object whose method is called, what holds no session stays what it is for all: production has
    one such object as well.
    """
    return _Keeping(receiver).kept(value, 0)


class _Keeping:
    def __init__(self, receiver: bool) -> None:  # noqa: FBT001 - of this file only
        self._receiver = receiver
        self._known: dict[int, Given] = {}
        """By `id`: a value that is met twice is one."""

    def kept(self, value: Any, depth: int) -> Given:
        value = unwrapped(value)
        if id(value) not in self._known:
            made = _itself(value) or self._mapped(value, depth) or self._holding(value, depth) or self._plain(value)
            self._known[id(value)] = made
        return self._known[id(value)]

    def _mapped(self, value: Any, depth: int) -> Given | None:
        if (state := state_of(value)) is None:
            return None
        if state.identity is None:
            mapped = {name: each for name, each in state.dict.items() if name in state.mapper.attrs}
            return self._filled(value, mapped, depth)
        session = state.async_session
        loaded = tuple(each.key for each in state.mapper.relationships if each.key in state.dict)
        return Row(value, tuple(state.identity), loaded, None if session is None else _opened(session))

    def _holding(self, value: Any, depth: int) -> Given | None:
        inside = _inside(value) if depth < DEEPEST else {}
        return (
            self._filled(value, inside, depth) if any(_holds(each, _is_special) for each in inside.values()) else None
        )

    def _filled(self, value: Any, inside: Mapping[Any, Any], depth: int) -> Given:
        parts: dict[Any, Given] = {}
        made = self._known[id(value)] = Holding(value, parts)  # before its parts, one of which may hold it
        parts.update({name: self.kept(each, depth + 1) for name, each in inside.items()})
        return made

    def _plain(self, value: Any) -> Given:
        if self._receiver:
            return Given(value)
        if _holds(value, _is_once):
            raise NotGiven
        try:
            return Plain(copy.deepcopy(value))
        except Exception:  # noqa: BLE001 - code of the value's own class, which says in any way that it has no copy
            raise NotGiven from None


def _itself(value: Any) -> Given | None:
    """What is given as it is, or opened anew; None for other values."""
    if isinstance(value, AsyncSession | AsyncConnection):
        return _opened(value)
    if isinstance(value, async_sessionmaker):
        return Given(_maker(value))
    if isinstance(value, AsyncEngine | Engine | type | ModuleType):
        return Given(value)
    return _routine(value) if inspect.isroutine(value) else None


def _is_special(value: Any) -> bool:
    """Whether it cannot be copied as plain values are, and can be given again nevertheless."""
    opening = isinstance(value, AsyncSession | AsyncConnection | async_sessionmaker | AsyncEngine | Engine)
    return opening or state_of(value) is not None


def _is_once(value: Any) -> bool:
    return isinstance(value, _ONCE) or inspect.isawaitable(value) or inspect.isgenerator(value)


def _holds(value: Any, what: Callable[[Any], bool]) -> bool:
    """Whether it, or something in it, is such a value."""
    return any(map(what, _all_in(value)))


def _all_in(value: Any) -> Iterator[Any]:
    """A value, and the values in it."""
    seen, ahead = set[int](), [(unwrapped(value), 1)]
    while ahead and len(seen) < _MOST_SEEN:
        each, depth = ahead.pop()
        yield each
        if depth < DEEPEST and id(each) not in seen:
            seen.add(id(each))
            ahead += [(unwrapped(inner), depth + 1) for inner in _inside(each).values()]


async def flush(values: Iterable[Any]) -> None:
    """Flush the sessions in these values that would flush by themselves with their next statement.

    So what a test has put there is part of the state that the call begins with. Raises what such a flush raises.
    """
    found = [each for value in values for each in _all_in(value)]
    states = [each for value in found if (each := state_of(value)) is not None]
    for session in (*found, *(each.async_session for each in states)):
        if isinstance(session, AsyncSession) and session.sync_session.autoflush and _is_changed(session):
            await session.flush()


def _is_changed(session: AsyncSession) -> bool:
    inner = session.sync_session
    return bool(inner.new or inner.deleted) or any(map(inner.is_modified, inner.dirty))


def _inside(value: Any) -> Mapping[Any, Any]:
    """The values in a value, by index, key or attribute."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return dict(enumerate(value))
    kind = type(value)
    if isinstance(value, type | ModuleType) or inspect.isroutine(value) or kind.__module__.startswith(_FOREIGN):
        return {}
    found = dict(getattr(value, "__dict__", {}))
    slots = [each for base in kind.__mro__ for each in _slots(base) if each not in ("__dict__", "__weakref__")]
    return found | {name: getattr(value, name) for name in slots if hasattr(value, name)}


def _slots(cls: type) -> Sequence[str]:
    slots = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _routine(value: Any) -> Given:
    """A function, unless it has a session in it: two actors would share that."""
    cells = [each.cell_contents for each in getattr(value, "__closure__", None) or () if _is_filled(each)]
    bound = getattr(value, "__self__", None)
    if any(isinstance(each, AsyncSession | AsyncConnection | Session) for each in (*cells, bound)):
        raise NotGiven
    return Given(value)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _opened(value: AsyncSession | AsyncConnection) -> Opened:
    began = value.in_transaction()
    if isinstance(value, AsyncConnection):
        return Opened(value, _engine(value), {}, began)
    inner = value.sync_session
    if _is_changed(value):
        raise NotGiven("the session had changes that were not flushed; flush or commit before")
    if (bind := value.bind) is None:
        raise NotGiven("the session has several engines")
    options = {
        "expire_on_commit": inner.expire_on_commit,
        "autoflush": inner.autoflush,
        "info": dict(inner.info),
        "sync_session_class": type(inner),
    }
    return Opened(value, _engine(bind), options, began)


def _engine(bind: Any) -> AsyncEngine:
    """The engine behind it: a connection into whose transaction a test joined a session is one only."""
    if isinstance(bind, AsyncEngine):
        return bind
    engine = bind.engine
    return AsyncEngine(engine) if isinstance(engine, Engine) else engine


def _maker(maker: async_sessionmaker[Any]) -> async_sessionmaker[Any]:
    """The factory, on an engine where it was on a connection."""
    bind = maker.kw.get("bind")
    if bind is None or isinstance(bind, AsyncEngine):
        return maker
    kept = {name: value for name, value in maker.kw.items() if name not in ("bind", "join_transaction_mode")}
    return async_sessionmaker(_engine(bind), class_=maker.class_, **kept)
