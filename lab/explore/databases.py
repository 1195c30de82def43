"""Which database a scenario runs in, and what its setup made there.

Scenarios that share metadata share a database: making one takes a tenth of a second. A scenario whose `schema` hook or
setup changes the catalog has one of its own, since no other scenario may see its tables.
"""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from lab.errors import LabError, ScenarioError, ServerError, UncontrolledError, first_line
from lab.explore.asgi.applications import Applications
from lab.explore.asgi.served import asking
from lab.explore.brought_back import Held, Holding
from lab.explore.invariants import bounded, call, cancelled
from lab.postgres.connections.apart import Apart
from lab.postgres.database import Database, Hook
from lab.postgres.recording.results import is_connection_loss
from lab.postgres.server.cluster import Cluster
from lab.postgres.server.server import Server
from lab.postgres.tables.changes import Beside, beside_of, objection, still
from lab.postgres.tables.reset import Snapshot
from lab.scenario.databases import metadata_of
from lab.scenario.declare import Scenario, parameter_names, parameters_of, target_of

__all__ = ["Databases"]

DATABASES_KEPT = 4
SNAPSHOTS_KEPT = 200
HOUR = 3_600_000_000
"""Microseconds; longer than any schema hook takes."""
OWN_LOOP = "asyncio.run() cannot be called from a running event loop"
IN_A_THREAD = (
    ". Alembic's env.py for async engines starts an event loop of its own: run it in a thread, as in "
    'await asyncio.to_thread(command.upgrade, config, "head")'
)

Parameters = str | None
"""The parameters of a scenario as a text; None where a database serves all."""
Metadata = tuple[tuple[str, int], ...]
"""By the name of the database, where several are told apart: which metadata."""
Key = tuple[Metadata, Callable[..., object] | None, Parameters]
"""The metadata, and the scenario whose own the database is, or the hook that made it."""


class Databases:
    """The databases of one explorer, and the snapshots of what setups made in them.

    A setup or a schema hook runs in a block of `setting_up`, so many microseconds before the beginning of executions.
    """

    def __init__(
        self,
        open_cluster: Callable[[], Awaitable[Cluster]],
        description: str,
        setting_up: Callable[[int], AbstractContextManager[None]],
        applications: Applications,
    ) -> None:
        self._open_cluster = open_cluster
        self._description = description
        self._setting_up = setting_up
        self._applications = applications
        self._kept: dict[Key, tuple[Apart, Database]] = {}
        self._made: dict[tuple[Key, type[Scenario], str], tuple[Snapshot, Held]] = {}
        """The rows that each setup made, and what it made in the process."""
        self._own_by_setup: set[Key] = set()
        self._texts: dict[int, tuple[weakref.ref[Scenario], str]] = {}
        """By the id of a scenario: its parameters as they were, since an execution may change what is in one."""
        self._beside: dict[str, Beside] = {}
        """What lay beside each database when its rows were made."""

    def __iter__(self) -> Iterator[Database]:
        return (database for _, database in self._kept.values())

    async def close(self) -> None:
        """Drop them all."""
        for database in self:
            await database.close()

    def forget(self) -> None:
        """Know of none; whoever calls this closed them, or cannot."""
        self._kept.clear()
        self._made.clear()

    async def ready(self, scenario: Scenario) -> tuple[Database, Snapshot]:
        """The database of a scenario with the catalog that an execution begins with, and the rows that its setup made.

        The scenario holds in the process what it held then, too.

        Raises `ScenarioError` where schema hook or setup fail, do not end, or leave what cannot be restored.
        """
        key = self._key(scenario)
        database = await self._database(key, scenario)
        await database.undo()
        made = self._made.get((key, type(scenario), self._parameters(scenario)))
        if made is not None:
            snapshot, held = made
            held.restore(scenario)
            return database, snapshot
        if key in self._own_by_setup:  # what setup made is there, and would be in its way
            await self._drop(key)
            database = await self._database(key, scenario)
        return await self._set_up(key, database, scenario)

    def failed(self, scenario: Scenario, error: BaseException, server: Server) -> LabError:
        """Why the server no longer serves the lab: an actor may have seen to it."""
        kept = self._kept.get(self._key(scenario))
        if kept is not None and (done := kept[1].meddling.ended):
            return UncontrolledError(f"{done}; the lab cannot go on without its own: {first_line(error)}")
        if isinstance(error, ServerError):
            return error
        reason = server.cleaned(str(getattr(error, "orig", None) or error))
        return ServerError(f"the server {self._description} failed: {reason}")

    async def look(self, database: Database, scenario: Scenario) -> None:
        """See whether an execution changed the catalog. Raises `ScenarioError` if it changed what lies beside it."""
        await database.look()
        if command := database.journal.beside:
            raise ScenarioError(
                f"an actor of {target_of(scenario)} ran {command}, whose effects belong to the whole server, so "
                "the lab cannot undo them; leave it out of actors"
            )
        before = self._beside.get(database.name)
        if not database.meddling.beside or before is None:
            return
        if refused := objection(before, still(before, await database.beside()), may_add_roles=False):
            database.journal.altered = True
            raise ScenarioError(f"an actor of {target_of(scenario)} {refused}")

    def _parameters(self, scenario: Scenario) -> str:
        known, text = self._texts.get(id(scenario), (None, ""))
        if known is None or known() is not scenario:
            text = repr(parameters_of(scenario))
            self._texts[id(scenario)] = weakref.ref(scenario), text
        return text

    def _key(self, scenario: Scenario) -> Key:
        metadata, cls, parameters = _metadata(scenario), type(scenario), self._parameters(scenario)
        if (metadata, cls, parameters) in self._own_by_setup:
            return metadata, cls, parameters
        if not _has_hook(cls):
            return metadata, None, None
        hook = inspect.getattr_static(cls, "schema")
        if isinstance(hook, staticmethod):
            return metadata, hook.__func__, None  # knows neither class nor parameters: one database serves them all
        return metadata, cls, None if inspect.ismethod(cls.schema) else parameters

    async def _database(self, key: Key, scenario: Scenario) -> Database:
        if key not in self._kept:
            cluster = await self._open_cluster()
            if len(self._kept) >= DATABASES_KEPT:
                await self._drop(next(iter(self._kept)))
            hook = self._hook(scenario) if _has_hook(type(scenario)) else None
            apart = Apart(metadata_of(type(scenario)), tuple(scenario.databases))
            self._kept[key] = apart, await Database.create(cluster, apart, hook)
        return self._kept[key][1]

    async def _drop(self, key: Key) -> None:
        _, database = self._kept.pop(key)
        self._made = {each: made for each, made in self._made.items() if each[0] != key}
        await database.close()

    async def _set_up(self, key: Key, database: Database, scenario: Scenario) -> tuple[Database, Snapshot]:
        await database.tables.empty()
        await self._applications.close()  # it would be where the setup starts one
        what = f"the setup of {target_of(scenario)}"
        before, holding = await database.beside(), Holding(scenario)
        try:
            with database.leading(scenario.outside, what):
                await self._run(partial(self._fill, scenario, database), what, database)
        finally:
            altered = await database.look()
        if refused := objection(before, await database.beside(), may_add_roles=False):
            database.journal.altered = True
            raise ScenarioError(f"{what} {refused}")
        if altered:
            key = self._give_to(scenario, key)
        if altered or key[1] is not None:
            await database.adopt(altered=altered)
        self._beside[database.name] = await database.beside()
        if len(self._made) >= SNAPSHOTS_KEPT:
            self._made.pop(next(iter(self._made)))
        snapshot = await database.tables.capture()
        self._made[key, type(scenario), self._parameters(scenario)] = snapshot, holding.held()
        return database, snapshot

    async def _fill(self, scenario: Scenario, database: Database) -> None:
        async with (
            self._applications.for_setup(scenario) as served,
            asking(served, scenario, parameter_names(scenario.setup)) as given,
            AsyncSession(database.engine) as session,
        ):
            await call(scenario.setup, session, **given)
            await session.commit()

    def _give_to(self, scenario: Scenario, key: Key) -> Key:
        """Make a database the scenario's own, because its setup changed the catalog there."""
        own = _metadata(scenario), type(scenario), self._parameters(scenario)
        self._own_by_setup.add(own)
        if own != key:
            self._made = {each: made for each, made in self._made.items() if each[0] != key}
        self._kept[own] = self._kept.pop(key)
        return own

    def _hook(self, scenario: Scenario) -> Hook:
        """What makes a scenario's schema. It may run again, where a database has to be made anew."""

        async def hook(database: Database, connection: AsyncConnection) -> None:
            what = f"the schema hook of {target_of(scenario)}"
            driver = (await connection.get_raw_connection()).driver_connection
            before = await beside_of(driver)
            with database.leading(scenario.outside, what):
                await self._run(partial(scenario.schema, connection), what)
            if connection.in_transaction():
                await connection.commit()
            if refused := objection(before, await beside_of(driver), may_add_roles=True):
                raise ScenarioError(f"{what} {refused}")

        return hook

    async def _run(self, code: Callable[[], Awaitable[object]], what: str, database: Database | None = None) -> None:
        """Run what people wrote, and raise `ScenarioError` if it fails or takes too long."""
        try:
            with self._setting_up(HOUR if database is None else 0):  # a schema is older than what happens in it
                await bounded(code, what, "setup")
        except (ScenarioError, ServerError):
            raise
        except BaseException as error:
            if cancelled():
                raise asyncio.CancelledError from error
            if is_connection_loss(error) and (database is None or not await database.alive()):
                raise ServerError(f"the server {self._description} died during an execution") from error
            hint = IN_A_THREAD if OWN_LOOP in str(error) else ""
            raise ScenarioError(f"{what} failed: {first_line(error)}{hint}") from error


def _metadata(scenario: Scenario) -> Metadata:
    return tuple((name, id(each)) for name, each in scenario.databases.items()) or (("", id(scenario.metadata)),)


def _has_hook(cls: type[Scenario]) -> bool:
    return getattr(cls.schema, "__func__", cls.schema) is not Scenario.schema
