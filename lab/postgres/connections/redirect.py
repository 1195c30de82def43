"""Lends an application's own engine to the lab for the time of an execution.

The engine keeps its own pool and the connections in it. While it is lent it works with a second pool of the same kind
and size, whose connections go to the lab's database; outside an execution it is as it was. Nothing is ever sent to
the application's own database.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool

from lab.errors import ScenarioError
from lab.postgres.connections.caches import chill
from lab.postgres.connections.connection import LabConnection
from lab.postgres.connections.others import refusing_others
from lab.postgres.connections.watch import OWN_WAY, Route, instrumented

__all__ = ["Redirected"]


class Redirected:
    """An application's engine and the pool that it works with while it is lent.

    Raises `ScenarioError` for an engine that does not use asyncpg.
    """

    def __init__(self, engine: AsyncEngine, route: Route) -> None:
        if engine.dialect.driver != "asyncpg":
            raise ScenarioError(
                f"the watched engine uses {engine.dialect.driver} ({engine.url.render_as_string()}); the lab can only "
                "watch postgresql+asyncpg"
            )
        self._engine = engine
        self._own: Pool = engine.sync_engine.pool
        self._lent: Pool = self._own.recreate()
        self._active = False
        self._warm = False
        self._opened: list[LabConnection] = []
        self._stack = contextlib.ExitStack()
        route = dataclasses.replace(route, opened=self._note(route), active=lambda: self._active)
        self.on()
        self._stack.enter_context(instrumented(engine, route))

    def _note(self, route: Route) -> Any:
        def opened(connection: LabConnection) -> None:
            self._opened.append(connection)
            route.opened(connection)

        return opened

    @property
    def damaged(self) -> bool:
        """Whether the lab ended backends of connections that may still lie in the pool."""
        return any(connection.is_closed() for connection in self._opened)

    def on(self) -> None:
        """Send the engine to the lab's database."""
        self._engine.sync_engine.pool = self._lent
        self._active = True

    def off(self) -> None:
        """Let the engine work with its own pool again."""
        self._engine.sync_engine.pool = self._own
        self._active = False

    def chill(self) -> None:
        """Empty its compiled cache, which it keeps while it is lent."""
        chill(self._engine.sync_engine)

    async def warm(self, actors: int) -> None:
        """Open what the pool allows, up to one connection an actor; at first one at least, to set up the dialect."""
        wanted = min(actors, _size(self._lent, actors))
        if _idle(self._lent) >= wanted and self._warm:
            return
        async with contextlib.AsyncExitStack() as held:
            held.enter_context(refusing_others(OWN_WAY))
            for _ in range(max(wanted, 1)):
                await held.enter_async_context(self._engine.connect())
        self._warm = True

    def close(self) -> None:
        """Give the engine back for good."""
        self.on()  # what was listened to belongs to the lent pool
        self._stack.close()
        self.off()
        for connection in self._opened:
            connection.terminate()


def _size(pool: Pool, otherwise: int) -> int:
    size: Any = getattr(pool, "size", None)
    return int(size()) or otherwise if size is not None else 0


def _idle(pool: Pool) -> int:
    checked_in: Any = getattr(pool, "checkedin", None)
    return int(checked_in()) if checked_in is not None else 0
