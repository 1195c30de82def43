"""What a call was given, kept so that it can be given again: to each actor of each execution its own.

Plain values are copied when the call is made, and again for each actor. A session, or a connection, becomes one of the
actor's own, on the engine of the test's; what SQLAlchemy has mapped is loaded again by its primary key. An object that
holds such things (a service with a session, a unit of work) is copied as far as they lie in it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import inspect as inspected
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import InstanceState, Mapper, selectinload

__all__ = ["Again", "Given", "Holding", "Opened", "Plain", "Row", "opened_in", "state_of"]


class Again:
    """What one actor gets in place of what the test gave; `lab.search.races.calls` opens and ends it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.opened: dict[int, Any] = {}
        """`id` of a session or connection of the test -> the actor's own."""
        self.made: dict[int, Any] = {}
        """`id` of an object of the test -> the actor's own."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """A value that is given as it is: a function, a class, an engine, which leads to the lab's database anyway."""

    value: Any

    @property
    def text(self) -> str:
        """What makes two of them the same."""
        value = self.value
        return getattr(value, "__qualname__", "") or f"<{type(value).__name__}>"

    @property
    def parts(self) -> Sequence[Given]:
        """The values in it."""
        return ()

    async def make(self, again: Again) -> Any:
        """The value of an actor."""
        return self.value


@dataclass(frozen=True, slots=True, eq=False)
class Plain(Given):
    """A value that is copied."""

    @property
    def text(self) -> str:
        """Its `repr`."""
        return repr(self.value)

    async def make(self, again: Again) -> Any:
        """A copy."""
        return copy.deepcopy(self.value)


@dataclass(frozen=True, slots=True, eq=False)
class Opened(Given):
    """A session or a connection. `value` is the test's, which names it; `began`: it was in a transaction."""

    bind: AsyncEngine
    options: Mapping[str, Any]
    began: bool

    @property
    def text(self) -> str:
        """What it is."""
        return f"<{type(self.value).__name__}>"

    def open(self) -> Any:
        """One of the actor's own, not yet entered."""
        if isinstance(self.value, AsyncConnection):
            return self.bind.connect()
        return type(self.value)(self.bind, **self.options)

    async def make(self, again: Again) -> Any:
        """The actor's own, in a transaction where the caller had begun one on a connection."""
        opened = again.opened[id(self.value)]
        if isinstance(opened, AsyncConnection) and self.began and not opened.in_transaction():
            await opened.begin()
        return opened


@dataclass(frozen=True, slots=True, eq=False)
class Row(Given):
    """An object of a row, by its primary key. `loaded` are the relationships that were loaded; `within` its session."""

    identity: tuple[Any, ...]
    loaded: tuple[str, ...]
    within: Opened | None

    @property
    def text(self) -> str:
        """Class and key."""
        return f"{type(self.value).__name__}({', '.join(map(repr, self.identity))})"

    @property
    def parts(self) -> Sequence[Given]:
        """Its session."""
        return () if self.within is None else (self.within,)

    async def make(self, again: Again) -> Any:
        """Loaded in the session in which it was in the test, else in one of its own, as something that is detached."""
        if id(self.value) not in again.made:
            again.made[id(self.value)] = await self._load(again)
        return again.made[id(self.value)]

    async def _load(self, again: Again) -> Any:
        cls = type(self.value)
        how = [selectinload(getattr(cls, each)) for each in self.loaded]
        if self.within is None:
            async with AsyncSession(again.engine, expire_on_commit=False) as own:
                return await own.get_one(cls, self.identity, options=how)
        session: AsyncSession = await self.within.make(again)
        found = await session.get_one(cls, self.identity, options=how)
        if not self.within.began:
            await session.commit()
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Holding(Given):
    """An object or a collection that is copied one level deep. `inside`: by index, key or attribute."""

    inside: Mapping[Any, Given]

    @property
    def text(self) -> str:
        """Its parts."""
        parts = ", ".join(f"{name}={each.text}" for name, each in self.inside.items())
        return f"{type(self.value).__name__}({parts})"

    @property
    def parts(self) -> Sequence[Given]:
        """What is in it."""
        return tuple(self.inside.values())

    async def make(self, again: Again) -> Any:
        """A copy, whose parts are the actor's own."""
        if id(self.value) in again.made:
            return again.made[id(self.value)]
        value = self.value
        if isinstance(value, dict):
            made: Any = type(value)()
            again.made[id(value)] = made
            made.update({key: await each.make(again) for key, each in self.inside.items()})
            return made
        if isinstance(value, list | tuple | set | frozenset):
            parts = [await each.make(again) for each in self.inside.values()]
            made = type(value)(*parts) if isinstance(value, tuple) and type(value) is not tuple else type(value)(parts)
            again.made[id(value)] = made
            return made
        state = state_of(value)
        made = copy.copy(value) if state is None else state.manager.new_instance()
        again.made[id(value)] = made
        for name, each in self.inside.items():
            part = await each.make(again)
            if state is None:
                object.__setattr__(made, name, part)  # also where it is frozen
            else:
                setattr(made, name, part)
        return made


def opened_in(given: Given) -> Iterator[Opened]:
    """The sessions and connections in a value."""
    if isinstance(given, Opened):
        yield given
    for each in given.parts:
        yield from opened_in(each)


def state_of(value: Any) -> InstanceState[Any] | None:
    """Of an object that SQLAlchemy has mapped; None for others. Asked of an engine, it would connect."""
    mapped = isinstance(inspected(type(value), raiseerr=False), Mapper)
    return inspected(value) if mapped else None
