"""A connection pool that gives each actor connections of its own.

Which connection an actor gets is part of what must not differ between two runs of one schedule: a session carries
caches, temporary tables and settings. An ordinary pool hands out whatever came back last, which depends on the
executions before. Here each actor has its own, opened before the first step and lowest number first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from lab.engine.gate import current_actor
from lab.postgres.connections.settings import serves_house

__all__ = ["ActorPool", "warmed"]

HOUSE = ""
"""The owner of connections that serve the lab itself: setup, invariants."""


class ActorPool(Pool):
    """Connections by root actor. Grows without bound: an actor that opens five sessions gets five."""

    _is_asyncio = True

    def __init__(self, creator: Any, **options: Any) -> None:
        super().__init__(creator, **options)
        self._idle: dict[str, list[ConnectionPoolEntry]] = {}
        self._owner: dict[ConnectionPoolEntry, tuple[str, int]] = {}
        self.warming = HOUSE
        """Whom connections opened outside an execution are for."""

    def connections(self) -> list[Any]:
        """The open asyncpg connections of actors, in order of opening."""
        return [
            entry.dbapi_connection.driver_connection
            for entry, (owner, _) in self._owner.items()
            if owner != HOUSE and entry.dbapi_connection is not None
        ]

    def is_warm(self, owner: str, level: str) -> bool:
        """Whether the connections of this actor are open, and the first that it will get is at this isolation level."""
        first = min(self._idle.get(owner, ()), key=self._turn, default=None)
        return (
            first is not None
            and all(map(_is_open, self._idle[owner]))
            and first.dbapi_connection.driver_connection.isolation == level  # type: ignore[union-attr]
        )

    def opened(self, owner: str) -> int:
        """How many connections this actor had open at once, by now; one at least."""
        return max(len(self._idle.get(owner, ())), 1)

    def _turn(self, entry: ConnectionPoolEntry) -> tuple[bool, int]:
        """Open connections first, in order of opening."""
        return not _is_open(entry), self._owner[entry][1]

    def _do_get(self) -> ConnectionPoolEntry:
        actor = current_actor()
        owner = actor.root.name if actor else self.warming
        if idle := self._idle.get(owner):
            entry = min(idle, key=self._turn)
            idle.remove(entry)
            if entry.dbapi_connection is not None and not _is_open(entry):
                entry.invalidate()  # the lab ended its backend; SQLAlchemy opens it again
            return entry
        token = serves_house.set(owner == HOUSE)
        try:
            entry = self._create_connection()
        finally:
            serves_house.reset(token)
        self._owner[entry] = owner, len(self._owner)
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        self._idle.setdefault(self._owner[record][0], []).append(record)

    def _invalidate(
        self,
        connection: Any,
        exception: BaseException | None = None,
        _checkin: bool = True,  # noqa: FBT002 - SQLAlchemy's signature
    ) -> None:
        """Give up one lost connection.

        SQLAlchemy would give up all that are older, other actors' as well: they would connect anew in mid-execution,
        and which ones would depend on the executions before. Private there.
        """
        if _checkin and connection.is_valid:
            connection.invalidate(exception)

    def dispose(self) -> None:
        """Close every idle connection."""
        for entries in self._idle.values():
            for entry in entries:
                entry.close()
                del self._owner[entry]
        self._idle.clear()

    def recreate(self) -> ActorPool:
        """The same pool, emptied: an actor that disposes of the engine must not take it out of the lab's hands."""
        self.dispose()
        return self

    def status(self) -> str:
        """How many connections each owner has."""
        counts = {owner: len(entries) for owner, entries in self._idle.items()}
        return f"idle connections: {counts}"


async def warmed(engine: AsyncEngine, levels: Mapping[str, str]) -> None:
    """Open the connections that actors will get, at their isolation levels, by name."""
    pool = engine.pool
    assert isinstance(pool, ActorPool)
    for name, level in levels.items():
        if pool.is_warm(name, level):
            continue
        pool.warming = name
        try:
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(pool.opened(name)):  # a fault may have ended any; how many are open must not depend
                    await stack.enter_async_context(engine.connect())
        finally:
            pool.warming = HOUSE


def _is_open(entry: ConnectionPoolEntry) -> bool:
    connection: Any = entry.dbapi_connection
    return connection is not None and not connection.driver_connection.is_closed()
