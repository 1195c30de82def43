"""One database of the lab with everything that belongs to it: schema, engine, monitor, watched engines.

A database serves every scenario that shares its schema. It belongs to the event loop that opened it. When somebody
changed its catalog it is made again under its name, as a copy of one that was put aside, so that whoever holds it may
keep it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from lab.engine.ports import Ports
from lab.errors import LabError, ScenarioError, first_line
from lab.model.history import History
from lab.model.leak import Leak
from lab.postgres.connections.apart import ALL_ONE, Apart
from lab.postgres.connections.caches import CompiledCaches, chill
from lab.postgres.connections.connection import LabConnection
from lab.postgres.connections.endings import forget
from lab.postgres.connections.journal import Journal
from lab.postgres.connections.lead import Lead
from lab.postgres.connections.meddling import Meddling
from lab.postgres.connections.messages import Messages
from lab.postgres.connections.pool import ActorPool, warmed
from lab.postgres.connections.pools import LIBRARIES
from lab.postgres.connections.uses import Uses
from lab.postgres.connections.watch import Address, Route, instrumented
from lab.postgres.locks.known import KnownWaits
from lab.postgres.locks.relations import RelationLocks
from lab.postgres.locks.remedy_locks import Locking
from lab.postgres.locks.row_locks import PostgresRowLocks
from lab.postgres.recording.attempts import attempts_of
from lab.postgres.recording.catalogued import Catalogued
from lab.postgres.recording.histories import history_of
from lab.postgres.recording.matches import Matches
from lab.postgres.recording.met import met_in
from lab.postgres.recording.questions import Answers
from lab.postgres.server.cluster import Cluster
from lab.postgres.server.monitor import LOST, Monitor
from lab.postgres.statements.met import MetRows
from lab.postgres.striker import PostgresStriker
from lab.postgres.tables.changes import Beside, beside_of
from lab.postgres.tables.reset import Snapshot, Tables

__all__ = ["Database", "Hook"]

DEFAULT_LEVEL = "READ COMMITTED"

Hook = Callable[["Database", AsyncConnection], Awaitable[object]]
"""Makes what metadata cannot, on a connection of its own to the database; what it raises is a `LabError`."""


class Database:
    """A database that can run executions of scenarios over one set of tables."""

    def __init__(
        self, cluster: Cluster, name: str, monitor: Monitor, apart: Apart = ALL_ONE, hook: Hook | None = None
    ) -> None:
        self.cluster = cluster
        self.name = name
        self._apart, self._hook, self._monitor = apart, hook, monitor
        self._template: str | None = None
        """A database that is this one as it was before anybody changed the catalog; nobody is connected to it."""
        self.meddling = Meddling()
        """What actors of the execution that runs, or ran last, did to what the lab relies on."""
        self._connections: list[LabConnection] = []
        own_server = cluster.server.folder is not None
        self.tables = Tables(monitor, privileged=cluster.abilities.superuser, own_server=own_server)
        self._row_locks = PostgresRowLocks(cluster.server, name, known := self._connections if own_server else ())
        self.striker = PostgresStriker(cluster, monitor, self._connections, self._row_locks)
        self._waits = KnownWaits(cluster.lock_waits(monitor, lambda: self.meddling.hushed), known, self._row_locks)
        self.journal = Journal()
        self._caches = CompiledCaches()
        self._levels: Mapping[str, str] = {}
        self._locking: Locking | None = None
        self._close = contextlib.ExitStack()
        self._route = Route(
            Address(
                connect={**cluster.server.connect, "database": name},
                settings=cluster.actor_settings(),
                may_freeze=cluster.server.may_freeze if cluster.abilities.frozen else _never,
                journal=self.journal,
                relations=self.tables.relations,
                uses=Uses(),
                catalog=self.tables.catalog,
            ),
            opened=self._opened,
            isolation=self._level,
            relations=self.tables.catalog,
            locking=lambda: self._locking,
            notices=self._notice,
            caches=self._caches,
        )
        self.engine = create_async_engine("postgresql+asyncpg://", poolclass=ActorPool)
        self._close.enter_context(instrumented(self.engine, self._route))
        self.house = self.engine.execution_options(compiled_cache=self._caches.house)
        """The same engine for invariants, which need not begin with empty caches."""
        self._matches, self._answers = Matches(self.house), Answers(self.house)
        self._lead, self._taken = Lead(self._route, {self.engine.sync_engine}, apart), self._route.taken
        self.leading, self.give_back = self._lead.leading, self._lead.give_back

    def _opened(self, connection: LabConnection) -> None:
        connection.notices = self._notice
        self._connections.append(connection)

    @classmethod
    async def create(cls, cluster: Cluster, apart: Apart, hook: Hook | None = None) -> Database:
        """Make a database and its tables. Raises `ScenarioError` if the metadata cannot be created."""
        name = await cluster.create_database()
        monitor = await cluster.monitor(name)
        database = cls(cluster, name, monitor, apart, hook)
        try:
            await database._build()
        except BaseException:
            await database.close()
            raise
        return database

    async def _build(self) -> None:
        """Make the tables in an empty database. Raises `ScenarioError`, and what the hook raises."""
        try:
            await self._apart.create(self.engine)
            if self._hook is not None:
                async with self.engine.connect() as connection:
                    await self._hook(self, connection)
        except LabError:
            raise
        except Exception as error:
            raise ScenarioError(f"the tables cannot be created: {first_line(error)}") from error
        await self.tables.learn(self._apart.metadata)
        if self._hook is not None:
            await self.tables.keep_ground()

    async def close(self) -> None:
        """Disconnect and drop the database."""
        await self._disconnect()
        self.cluster.dismiss(self._monitor)
        self._close.close()
        await self.cluster.drop_database(self.name)
        if self._template is not None:
            await self.cluster.drop_database(self._template)

    def ports(self, *, breakpoints: bool, exact: bool = False) -> Ports:
        """What the engine needs for an execution here. No pauses where a paused backend could not be frozen."""
        row_locks, may_pause = self._row_locks if breakpoints else None, self.cluster.abilities.frozen
        relations = RelationLocks(self._monitor, self.tables.catalog)
        messages = Messages(self._connections)
        return Ports(self._waits, messages, self.striker, LIBRARIES, row_locks, may_pause, relations, exact)

    # ------------------------------------------------------------------ the catalog

    async def beside(self) -> Beside:
        """What is not in the catalog of this database, so that it cannot be made again."""
        return await beside_of(self._monitor)

    async def look(self) -> bool:
        """Whether the catalog may have changed since the database was made; if so it is read again."""
        if not self.journal.altered and await self.tables.differs():
            self.journal.altered = True
        if self.journal.altered:
            await self.tables.learn(self._apart.metadata, installs=False)
        self.meddling.confirm(altered=self.journal.altered)
        return self.journal.altered

    async def adopt(self, *, altered: bool = True) -> None:
        """Take the catalog as it is now, or still is, for what every execution begins with."""
        if self._template is not None and not altered:
            return
        await self.tables.learn(self._apart.metadata)
        template, self._template = self._template, None
        if template is not None:
            await self.cluster.drop_database(template)
        await self._disconnect()
        self._template = await self.cluster.copy_database(self.name)
        await self._monitor.reopen()
        self.journal.altered = False

    async def undo(self) -> None:
        """Make the database again if somebody changed its catalog."""
        if not self.journal.altered:
            return
        await self._disconnect()
        await self.cluster.replace_database(self.name, self._template)
        await self._monitor.reopen()
        if self._template is None:
            await self._build()
            await self.adopt()
        else:
            await self.tables.learn(self._apart.metadata, installs=False)
        self.journal.altered = False

    async def _disconnect(self) -> None:
        """End sessions here; the monitor's is to be opened again."""
        self._lead.close()
        for connection in self._connections:
            connection.terminate()
        await self._row_locks.close()

    # ------------------------------------------------------------------ before and after an execution

    async def prepare(
        self,
        snapshot: Snapshot,
        levels: Mapping[str, str],
        watched: Collection[AsyncEngine],
        locking: Locking | None = None,
        *,
        recorded: bool = False,
        met: MetRows | None = None,
    ) -> None:
        """Restore the tables, clear caches and sessions, and open what the actors (the keys of `levels`) need."""
        self._levels, self._locking, self.meddling, tidy = levels, locking, Meddling(), self.journal.tidy
        self.tables.catalog.met = met or MetRows()
        self.journal.start(wanted=recorded)
        self._caches.empty()
        chill(self.engine.sync_engine)
        await self.end_open_transactions()  # of an execution that was broken off
        self._connections[:] = [each for each in self._connections if not each.is_closed()]
        await asyncio.gather(self.tables.restore(snapshot), *(forget(each, tidy=tidy) for each in self._connections))
        await warmed(self.engine, {name: self._level(name) for name in levels})
        await self._lead.lend(watched, len(levels))

    async def history(self, snapshot: Snapshot, mask: Callable[[str], str]) -> tuple[History, tuple[str, ...]]:
        """The history of the execution that was recorded, and the statements of which not all reads are known."""
        known = Catalogued.of(self.tables)
        attempts = attempts_of(self.journal, snapshot.rows, known)
        return await history_of(attempts, known.keys, self._matches, self._answers, mask)

    def met(self) -> MetRows:
        """The rows that statements of the execution that was recorded wrote."""
        return met_in(self.journal, self.tables.relations, self.tables.keys, self.tables.quoted, self.tables.beyond)

    async def end_open_transactions(self) -> None:
        """End sessions whose actor is done but left a transaction open, or them; what they hold would stay."""
        out = self._taken.out()
        leaked = [each.process.pid for each in self._connections if each.transaction_open or each in out]
        if leaked:
            await self.striker.terminate(leaked)
        self._taken.give_back()

    def limits(self, sessions: Mapping[int, str]) -> Mapping[str, Collection[str]]:
        """Actor -> the limits of time that its sessions have by themselves. `sessions`: process id -> actor."""
        limits = {each.process.pid: each.process.limits for each in self._connections}
        return {actor: found for pid, actor in sessions.items() if (found := limits.get(pid))}

    async def left(self, sessions: Mapping[int, str]) -> tuple[Leak, ...]:
        """What actors left behind that have all ended, and take it from them. `sessions`: process id -> actor."""
        leaks = await self._taken.left(self._connections, sessions, self._monitor.fetch, tidy=self.journal.tidy)
        await self.end_open_transactions()
        return leaks

    def _notice(self, actor: str, pid: int, statement: str) -> None:
        self.meddling.notices(actor, pid, statement)
        self._taken.sends(actor, pid, statement)
        if self._apart.names and (objection := self._apart.objection(statement, lambda: self._schema_of(pid))):
            raise self._lead.refuse(f"{actor} {objection}")

    def _schema_of(self, pid: int) -> str:
        return next(each.schema for each in self._connections if each.process.pid == pid)

    async def rows(self) -> Mapping[str, tuple[str, ...]]:
        """The final rows of every table, also of those that actors made."""
        return await self.tables.rows()

    async def alive(self) -> bool:
        """Whether the server still answers."""
        try:
            return bool(await self._monitor.fetchval("SELECT true"))
        except LOST:
            return False

    def _level(self, name: str | None) -> str:
        """The isolation level of an actor; for None: that of the actor whose connection is being opened."""
        pool = self.engine.pool
        assert isinstance(pool, ActorPool)
        return self._levels.get(name or pool.warming, DEFAULT_LEVEL)


def _never(pid: int) -> bool:
    return False
