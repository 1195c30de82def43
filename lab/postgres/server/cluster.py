"""The lab's foothold on one server: what its role may do there, and the databases that the lab made.

The lab never writes to a database that it did not create. Its databases carry a comment that says so, and a name that
says which lab made them; as long as that lab lives, it has sessions whose application_name is the first part of that
name. So a later lab of the same role, which may see those names, knows what one that was killed left behind, and drops
it. (An advisory lock would not do: it does not reach from one database to another.) A database that merely has a
similar name, or belongs to another role, is never touched.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import asyncpg

from lab.engine.watchdog import hurried
from lab.errors import ServerError, UsageError, first_line
from lab.postgres.connections.settings import ACTOR_SETTINGS, PRIVILEGED_SETTINGS, guarding, own_settings
from lab.postgres.locks.waits import PostgresLockWaits
from lab.postgres.server.fitness import insist_on_fitness
from lab.postgres.server.monitor import LOST, Monitor
from lab.postgres.server.server import Server

__all__ = ["Abilities", "Cluster"]

PREFIX = "concurrency_lab_"
FRESH_SECONDS = 5.0
"""Half of the embedded server's `wal_writer_delay`, so that an execution which begins within it ends in time."""
COMMENT = "made by concurrency-lab; dropped when it ends"

_ABILITIES = """
SELECT current_setting('server_version_num')::int AS version,
       current_setting('is_superuser') = 'on' AS superuser,
       rolcreatedb OR rolsuper AS may_create_databases
FROM pg_roles WHERE rolname = current_user
"""
_MAY_SET = "SELECT bool_and(has_parameter_privilege(current_user, name, 'SET')) FROM unnest($1::text[]) AS name"
_PARAMETERS_CAN_BE_GRANTED = 150000
_LEFT_BEHIND = """
SELECT d.datname FROM pg_database d
WHERE starts_with(d.datname, $1) AND shobj_description(d.oid, 'pg_database') = $2
  AND d.datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user)
  AND NOT EXISTS (SELECT FROM pg_stat_activity s
                  WHERE starts_with(s.application_name, $1) AND starts_with(d.datname, s.application_name || '_'))
"""
_UNDER_NAME = """
SELECT coalesce(shobj_description(oid, 'pg_database') = $2, false),
       EXISTS (SELECT FROM pg_stat_activity s WHERE s.datname = d.datname AND s.backend_type = 'client backend')
FROM pg_database d WHERE datname = $1
"""
_END_SESSIONS = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1"
"""Waits, up to five seconds, until the processes are gone."""


_PATH = """
SELECT CASE current_setting('search_path') WHEN '' THEN 'public' WHEN '""' THEN 'public'
       ELSE 'public, ' || current_setting('search_path') END
WHERE 'public' <> ALL (current_schemas(false))
"""
_ANY = 10**9
"""A version that is not known yet."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """Which parts of the lab's lock control work on a server, for this role."""

    version: int
    """As PostgreSQL numbers itself: 180004 is 18.4."""
    superuser: bool
    may_create_databases: bool
    pushed: bool
    """Backends report their lock waits, so a deadlock's victim is certain."""
    frozen: bool
    """Waiting backends can be frozen, so several waiters wake one at a time."""


class Cluster:
    """An open foothold on a server. Belongs to the event loop that opened it."""

    def __init__(self, server: Server, name: str, admin: Monitor, abilities: Abilities) -> None:
        self.server = server
        self.name = name
        """What the names of this lab's databases begin with; its session here is called so, too."""
        self.abilities = abilities
        self._admin = admin
        self._admin_is_lost = False
        self._gone = ""
        """Why the server cannot be reached any more."""
        self._monitors: list[Monitor] = []
        self._crashed = -math.inf
        self._databases: list[str] = []
        self._numbers = itertools.count(1)
        self._path: dict[str, str] = {}
        """The search path of sessions, where the role's own has no place for tables in a fresh database."""

    @classmethod
    async def open(cls, server: Server) -> Cluster:
        """Connect, learn what the role may do, and drop what a killed lab left. Raises `ServerError`."""
        name = PREFIX + secrets.token_hex(6)
        known = 10000 * server.version if server.version else _ANY
        admin = await Monitor.open(server, server_settings=_named(server, name, known))
        try:
            if server.folder is None:  # the embedded one is known
                await insist_on_fitness(server, admin)
            abilities = await _abilities(server, admin)
            cluster = cls(server, name, admin, abilities)
            await cluster._drop_left_behind()
        except BaseException:
            admin.terminate()
            raise
        return cluster

    def actor_settings(self) -> dict[str, str]:
        """Settings for the connections of actors, as far as the role may make them."""
        settings = guarding(self.abilities.version) | self._path | ACTOR_SETTINGS
        return settings | PRIVILEGED_SETTINGS if self.abilities.pushed else settings

    def lock_waits(self, monitor: Monitor, hushed: Callable[[], Collection[int]]) -> PostgresLockWaits:
        """The engine's view of lock waits, asked over `monitor`; `hushed`: the processes that do not report them."""
        return PostgresLockWaits(monitor, self.abilities.pushed, self.abilities.frozen, hushed)

    async def monitor(self, database: str) -> Monitor:
        """A connection of the lab's own to one of its databases, open until `dismiss`. Raises `ServerError`."""
        monitor = await self._monitor(database)
        if self.server.folder is None and not self._path and (path := await monitor.fetchval(_PATH)):
            monitor.terminate()
            self._path = {"search_path": path}
            monitor = await self._monitor(database)
        self._monitors.append(monitor)
        return monitor

    async def _monitor(self, database: str) -> Monitor:
        settings = _named(self.server, self.name, self.abilities.version) | self._path
        return await Monitor.open(self.server, database=database, server_settings=settings)

    def dismiss(self, monitor: Monitor) -> None:
        """Close a connection that `monitor` opened."""
        self._monitors.remove(monitor)
        monitor.terminate()

    async def create_database(self, name: str = "") -> str:
        """Make a new, empty database and return its name. Raises `UsageError` for a `name` that somebody else has."""
        if name:
            await self._make_room(name)
        name = name or f"{self.name}_{next(self._numbers)}"
        await self._command(*self._creation(name))
        self._databases.append(name)
        return name

    async def _make_room(self, name: str) -> None:
        """Drop a database that a lab which was killed left under a name."""
        for made_by_a_lab, is_used in await self._admin.fetch(_UNDER_NAME, name, COMMENT):
            if not made_by_a_lab or is_used:
                whose = "in which another lab works" if made_by_a_lab else "that the lab did not make"
                raise UsageError(f"{self.server.description} has a database {name} {whose}, so it is left alone")
            await self._command(f'DROP DATABASE "{name}"')

    async def copy_database(self, name: str) -> str:
        """Make a copy of a database, after ending every session there, and return its name."""
        copy = f"{self.name}_{next(self._numbers)}"
        await self._vacate(name)
        await self._command(*self._creation(copy, name))
        self._databases.append(copy)
        return copy

    async def replace_database(self, name: str, template: str | None = None) -> None:
        """Make a database again, as a copy of `template` or empty, whoever is still connected to it."""
        await self._vacate(name)
        await self._command(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", *self._creation(name, template))

    def _creation(self, name: str, template: str | None = None) -> tuple[str, str]:
        """Files are copied in half the time, but that makes two checkpoints, so not on a server that others use."""
        source = f"TEMPLATE {template}" if template else "TEMPLATE template0 ENCODING 'UTF8'"
        if self.server.folder is not None:
            source += " STRATEGY FILE_COPY"
        return f"CREATE DATABASE {name} {source}", f"COMMENT ON DATABASE {name} IS '{COMMENT}'"

    async def _vacate(self, name: str) -> None:
        """CREATE DATABASE looks only every 100 ms whether the last session is gone; so be sure that it is."""
        await self._command()
        await self._admin.fetch(_END_SESSIONS, name)

    async def drop_database(self, name: str) -> None:
        """Drop a database that this lab made, whoever is still connected to it.

        It takes a checkpoint, so a lab that was asked to end leaves it to the end of its embedded server.
        """
        if self.server.folder is None or not hurried():
            await self._command(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._databases.remove(name)

    async def crash(self) -> None:
        """Crash the server, and return when it is up again and the connections of `monitor` are restored."""
        assert self.server.crash is not None, "only the process that started a server can crash it"
        self.server.crash()
        self._crashed = time.monotonic()
        self._admin_is_lost = True  # seldom needed again, so opened again only then
        for monitor in self._monitors:
            await monitor.reopen()

    async def _command(self, *statements: str) -> None:
        if self._gone:
            raise ServerError(self._gone)
        if self._admin_is_lost or self._admin.is_closed():
            try:
                await self._admin.reopen()
            except ServerError as error:
                self._gone = str(error)
                raise
            self._admin_is_lost = False
        for statement in statements:
            await self._admin.execute(statement)

    @property
    def is_fresh(self) -> bool:
        """Whether the server came up so lately that its WAL writer still sleeps.

        Each time that it wakes, it writes out what was committed without waiting, and no schedule controls when.
        """
        return time.monotonic() - self._crashed < FRESH_SECONDS

    async def close(self) -> str:
        """Drop the lab's databases and disconnect. The embedded server goes as a whole, so nothing is dropped there.

        Returns a sentence about what could not be dropped; "" for nothing.
        """
        left = ""
        if self.server.folder is None:
            try:
                for name in list(self._databases):
                    await self.drop_database(name)
            except (*LOST, ServerError) as error:
                left = (
                    f"could not drop {', '.join(self._databases)} on {self.server.description}, which the next start "
                    f"of the same role will do: {self.server.cleaned(first_line(error))}"
                )
        self._admin.terminate()
        return left

    async def _drop_left_behind(self) -> None:
        if self.server.folder is not None:
            return
        for (name,) in await self._admin.fetch(_LEFT_BEHIND, PREFIX, COMMENT):
            # another lab that starts now may be dropping it, too
            with contextlib.suppress(asyncpg.ObjectInUseError, asyncpg.InternalServerError):
                await self._admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _named(server: Server, name: str, version: int) -> dict[str, str]:
    """Settings of a session that shows that this lab lives."""
    settings = {**server.connect.get("server_settings", {}), **own_settings(version), "application_name": name}
    if server.clock is not None:  # to look at a clock that is moved costs some microseconds, and nobody looks at these
        settings["track_activities"] = "off"
    return settings


async def _abilities(server: Server, admin: Monitor) -> Abilities:
    row = await admin.fetchrow(_ABILITIES)
    names = [name for name in PRIVILEGED_SETTINGS if name != "client_min_messages"]
    if row["superuser"]:
        pushed = True
    elif row["version"] >= _PARAMETERS_CAN_BE_GRANTED:
        pushed = await admin.fetchval(_MAY_SET, names)
    else:
        pushed = False
    return Abilities(
        version=row["version"],
        superuser=row["superuser"],
        may_create_databases=row["may_create_databases"],
        pushed=pushed,
        frozen=pushed and server.may_freeze(admin.get_server_pid()),
    )
