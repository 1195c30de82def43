"""What a database holds when a test sends a request: the definition of its tables, and a script that restores the rows.

It is read while the test stands still, over a connection of the lab's own in a thread of its own: some tests have no
event loop. Where the test has changed rows in a transaction that is still open (a session that was joined into an
external transaction, which a fixture rolls back in the end), nobody else sees them, so they are read over that very
connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from lab.errors import ScenarioError, first_line
from lab.postgres.server.monitor import LOST, Monitor
from lab.postgres.server.server import Server
from lab.postgres.statements.beyond import NOTHING_BEYOND, Beyond
from lab.postgres.tables.definition import definition_of
from lab.postgres.tables.reacting import reacting_in
from lab.postgres.tables.reset import Tables

__all__ = ["State", "States"]

Made = TypeVar("Made")
LOCK_TIMEOUT = "2s"
"""Longer than anything but a test that changed its tables in a transaction which it holds open over its request."""


@dataclass(frozen=True, slots=True)
class State:
    """A database at a moment."""

    database: str
    definition: str
    script: str
    """Restores the rows of all tables, and the sequences."""
    tables: tuple[str, ...]
    references: frozenset[tuple[str, str]] = frozenset()
    """(table, table that a foreign key of it names)."""
    cascades: frozenset[tuple[str, str]] = frozenset()
    """Those of them whose first table changes when a row of the second one goes or gets another key."""
    beyond: Beyond = NOTHING_BEYOND
    """Its functions, views and partitions: a statement that names one may touch any table."""
    reacting: frozenset[str] = frozenset()
    """Tables of which a changed row runs such a function, by a trigger, a check, a default or an index."""
    uncommitted: bool = False
    """Only the test's own transaction saw it."""


_REFERENCES = """
SELECT child.relname, parent.relname, bool_or(k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))
FROM pg_constraint k JOIN pg_class child ON child.oid = k.conrelid JOIN pg_class parent ON parent.oid = k.confrelid
WHERE k.contype = 'f' GROUP BY 1, 2
"""


class States:
    """Reads the databases of one server. Close it with `close`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lab-states", daemon=True)
        self._thread.start()
        self._monitors: dict[str, Monitor] = {}
        self._last: dict[str, State] = {}
        """By database: one that has not changed is kept once, however many requests met it."""

    def close(self) -> None:
        """Disconnect, and end the thread."""

        async def disconnect() -> None:
            for each in self._monitors.values():
                each.terminate()

        self._wait(disconnect)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def read(self, database: str) -> State:
        """What is committed there now; the calling thread waits. Raises `ScenarioError` if it cannot be read."""

        async def look() -> State:
            try:
                return await read_over(await self._monitor(database), database)
            except LOST as error:
                with contextlib.suppress(KeyError):
                    self._monitors.pop(database).terminate()
                raise ScenarioError(
                    f"the rows of the database {database} cannot be read: {first_line(error)}"
                ) from None

        state = self._wait(look)
        if self._last.get(database) != state:
            self._last[database] = state
        return self._last[database]

    def read_once(self, database: str) -> State:
        """The same, and nobody stays connected there."""
        try:
            return self.read(database)
        finally:
            if (monitor := self._monitors.pop(database, None)) is not None:
                self._wait(monitor.close)

    async def _monitor(self, database: str) -> Monitor:
        if (known := self._monitors.get(database)) is None or known.is_closed():
            settings = {"lock_timeout": LOCK_TIMEOUT}
            self._monitors[database] = await Monitor.open(self._server, database=database, server_settings=settings)
        return self._monitors[database]

    def _wait(self, code: Callable[[], Awaitable[Made]]) -> Made:
        async def made() -> Made:
            return await code()

        return asyncio.run_coroutine_threadsafe(made(), self._loop).result()


async def read_over(connection: Any, database: str, *, uncommitted: bool = False) -> State:
    """What a connection of asyncpg sees of its database."""
    definition = await definition_of(connection)
    tables = Tables(connection, privileged=True)
    await tables.learn(installs=False)
    snapshot = await tables.capture()
    references = await connection.fetch(_REFERENCES)
    return State(
        database,
        definition,
        snapshot.script,
        tuple(sorted(tables.names)),
        frozenset((child, parent) for child, parent, _ in references),
        frozenset((child, parent) for child, parent, cascades in references if cascades),
        tables.beyond,
        await reacting_in(connection),
        uncommitted,
    )
