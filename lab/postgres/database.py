"""One database of the lab with everything that belongs to it: schema, engine, monitor, watched engines.

A database serves every scenario that shares its metadata. It belongs to the event loop that opened it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import asyncpg
import sqlalchemy
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lab.engine.ports import Libraries, Ports
from lab.errors import ScenarioError, first_line
from lab.model.history import History
from lab.postgres.connections.connection import LabConnection
from lab.postgres.connections.journal import Journal
from lab.postgres.connections.meddling import Meddling
from lab.postgres.connections.pool import HOUSE, ActorPool
from lab.postgres.connections.redirect import Redirected
from lab.postgres.connections.watch import Address, Route, TableNames, instrumented
from lab.postgres.locks.remedy_locks import Locking
from lab.postgres.locks.row_locks import PostgresRowLocks
from lab.postgres.locks.waits import PostgresLockWaits
from lab.postgres.recording.attempts import attempts_of
from lab.postgres.recording.histories import history_of
from lab.postgres.recording.matches import Matches
from lab.postgres.recording.results import is_connection_loss
from lab.postgres.server.cluster import Cluster
from lab.postgres.server.monitor import LOST, Monitor
from lab.postgres.tables.reset import Snapshot, Tables

__all__ = ["Database"]

DEFAULT_LEVEL = "READ COMMITTED"
LIBRARIES = Libraries(driver=str(Path(asyncpg.__file__).parent), sessions=str(Path(sqlalchemy.__file__).parent))
TERMINATE_SECONDS = 6.0
_TERMINATE = "SELECT pg_terminate_backend(pid, 5000) FROM unnest($1::int[]) AS pid"
"""Waits, up to five seconds, until the processes are gone: only then are their locks."""


class Database:
    """A database that can run executions of scenarios over one set of tables."""

    def __init__(self, cluster: Cluster, name: str, monitor: Monitor) -> None:
        self.cluster = cluster
        self.name = name
        self.meddling = Meddling()
        """What actors of the execution that runs, or ran last, did to what the lab relies on."""
        self._waits: PostgresLockWaits = cluster.lock_waits(monitor, lambda: self.meddling.hushed)
        own_server = cluster.server.folder is not None
        self.tables = Tables(monitor, privileged=cluster.abilities.superuser, own_server=own_server)
        self._row_locks = PostgresRowLocks(cluster.server, name)
        self.journal = Journal()
        self._monitor = monitor
        self._levels: Mapping[str, str] = {}
        self._locking: Locking | None = None
        self._connections: list[LabConnection] = []
        self._redirected: dict[AsyncEngine, Redirected] = {}
        self._close = contextlib.ExitStack()
        self._route = Route(
            Address(
                connect={**cluster.server.connect, "database": name},
                settings=cluster.actor_settings(),
                may_freeze=cluster.server.may_freeze if cluster.abilities.frozen else _never,
                journal=self.journal,
                relations=self.tables.relations,
            ),
            opened=self._connections.append,
            isolation=self._level,
            tables=TableNames(self.tables.names, self.tables.triggered),
            locking=lambda: self._locking,
            notices=self._notice,
        )
        self.engine = create_async_engine("postgresql+asyncpg://", poolclass=ActorPool)
        self._close.enter_context(instrumented(self.engine, self._route))
        self._matches = Matches(self.engine)

    @classmethod
    async def create(cls, cluster: Cluster, metadata: MetaData | None) -> Database:
        """Make a database and its tables. Raises `ScenarioError` if the metadata cannot be created."""
        name = await cluster.create_database()
        monitor = await cluster.monitor(name)
        database = cls(cluster, name, monitor)
        try:
            if metadata is not None:
                async with database.engine.begin() as connection:
                    await connection.run_sync(metadata.create_all)
        except Exception as error:
            await database.close()
            raise ScenarioError(f"the tables cannot be created: {first_line(error)}") from error
        await database.tables.learn(metadata)
        return database

    async def close(self) -> None:
        """Disconnect and drop the database."""
        for redirected in self._redirected.values():
            redirected.close()
        for connection in self._connections:
            connection.terminate()
        await self._row_locks.close()
        self.cluster.dismiss(self._monitor)
        self._close.close()
        await self.cluster.drop_database(self.name)

    def ports(self, *, breakpoints: bool) -> Ports:
        """What the engine needs for an execution here. No breakpoints where a paused backend could not be frozen."""
        row_locks = self._row_locks if breakpoints and self.cluster.abilities.frozen else None
        return Ports(self._waits, self, LIBRARIES, row_locks)

    # ------------------------------------------------------------------ before and after an execution

    async def prepare(
        self,
        snapshot: Snapshot,
        levels: Mapping[str, str],
        watched: Iterable[AsyncEngine],
        locking: Locking | None = None,
        *,
        recorded: bool = False,
    ) -> None:
        """Restore the tables, clear the sessions' state and open what the actors (the keys of `levels`) need."""
        self._levels, self._locking, self.meddling = levels, locking, Meddling()
        self.journal.start(wanted=recorded)
        await self.end_open_transactions()  # of an execution that was broken off
        self._connections[:] = [each for each in self._connections if not each.is_closed()]
        await asyncio.gather(self.tables.restore(snapshot), *map(_forget, self._connections))
        await self._warm(list(levels))
        for engine in watched:
            await self._lend(engine, len(levels))

    async def history(self, snapshot: Snapshot, mask: Callable[[str], str]) -> tuple[History, tuple[str, ...]]:
        """The history of the execution that was recorded, and the statements of which not all reads are known."""
        attempts = attempts_of(self.journal, snapshot.rows, self.tables.keys, self.tables.relations)
        return await history_of(attempts, self.tables.keys, self._matches, mask)

    async def terminate(self, pids: Sequence[int]) -> None:
        """End backends of actors, frozen or not, and wait until they are gone."""
        struck = [each for each in self._connections if each.process.pid in pids]
        for connection in struck:
            connection.process.end()
        with contextlib.suppress(TimeoutError):  # the question itself waits for what they hold, until they are gone
            async with asyncio.timeout(TERMINATE_SECONDS):
                await self._monitor.fetch(_TERMINATE, list(pids))
        for connection in struck:
            connection.terminate()

    async def kill(self, pid: int) -> None:
        """End one backend; its client learns of it from its socket."""
        struck = [each for each in self._connections if each.process.pid == pid]
        for connection in struck:
            connection.process.end()
        await self._monitor.fetch(_TERMINATE, [pid])
        await _learned(struck)

    async def crash(self) -> None:
        """Crash the server, and return when it is up again."""
        for connection in self._connections:
            connection.process.died()
        await self._row_locks.close()
        await self.cluster.crash()
        await _learned(self._connections)

    async def end_open_transactions(self) -> None:
        """End sessions whose actor is done but left a transaction open; its locks would outlive the execution."""
        leaked = [each.process.pid for each in self._connections if not each.is_closed() and each.is_in_transaction()]
        if leaked:
            await self.terminate(leaked)

    def _notice(self, actor: str, pid: int, statement: str) -> None:
        self.meddling.notices(actor, pid, statement)

    async def rows(self) -> Mapping[str, tuple[str, ...]]:
        """The final rows of every table; none where an actor changed the tables so that they cannot be read."""
        try:
            return await self.tables.rows()
        except asyncpg.PostgresError as error:
            if not self.meddling.altered or is_connection_loss(error):
                raise
            return {}

    async def alive(self) -> bool:
        """Whether the server still answers."""
        try:
            return bool(await self._monitor.fetchval("SELECT true"))
        except LOST:
            return False

    async def _warm(self, names: Sequence[str]) -> None:
        pool = self.engine.pool
        assert isinstance(pool, ActorPool)
        for name in names:
            if pool.is_warm(name, self._level(name)):
                continue
            pool.warming = name
            try:
                async with self.engine.connect():
                    pass
            finally:
                pool.warming = HOUSE

    async def _lend(self, engine: AsyncEngine, actors: int) -> None:
        """Send an application's engine here until the execution is over."""
        if engine in self._redirected and self._redirected[engine].damaged:
            self._redirected.pop(engine).close()
        if engine not in self._redirected:
            self._redirected[engine] = Redirected(engine, self._route)
        self._redirected[engine].on()
        await self._redirected[engine].warm(actors)

    def give_back(self) -> None:
        """Let the applications' engines work with their own connections again."""
        for each in self._redirected.values():
            each.off()

    def _level(self, name: str | None) -> str:
        """The isolation level of an actor; for None: that of the actor whose connection is being opened."""
        pool = self.engine.pool
        assert isinstance(pool, ActorPool)
        return self._levels.get(name or pool.warming, DEFAULT_LEVEL)


async def _forget(connection: LabConnection) -> None:
    """Clear a session's state; one that cannot be cleared any more, whatever an actor did to it, is given up."""
    try:
        await connection.forget_session_state()
    except LOST:
        connection.terminate()


async def _learned(connections: Iterable[LabConnection]) -> None:
    """Return when the clients of ended backends know: what an actor meets next must not depend on how fast that is."""
    for connection in connections:
        if not connection.is_closed():
            known = asyncio.Event()
            connection.add_termination_listener(lambda _, known=known: known.set())
            await known.wait()


def _never(pid: int) -> bool:
    return False
