"""Leads every connection of the process to the lab's server while tests are recorded.

Code under test opens connections wherever its settings say. For the time of a recording they lead to databases of the
same name on the lab's own server, which are made when somebody first asks for them: so fixtures that create and drop
databases, migrate and fill them work as they stand, and nothing is sent to the team's own server. Whoever connects is
the lab's own role there, since the team's roles do not exist.

asyncpg is met where all its connections are opened. psycopg and psycopg2, which migrations and fixtures use beside it,
are met in `connect`, which both document.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
from asyncpg import connect_utils

from lab.engine.replaced import replaced
from lab.postgres.connections.connection import LabConnection
from lab.postgres.connections.others import CONNECT
from lab.postgres.server.monitor import OwnConnection
from lab.postgres.server.monitor import connect as own_connection
from lab.postgres.server.server import Server

__all__ = ["ADMIN", "Leading"]

_PLACE = {"dsn", "host", "port", "user", "password", "passfile", "service", "servicefile", "ssl", "direct_tls"}
"""What says where a connection leads, among the options of asyncpg; those that its version has."""
ADMIN = "postgres"
"""The database over which others are made."""
_OTHERS = {"psycopg": ("", "Connection", "AsyncConnection"), "psycopg2": ("",)}
"""Driver -> the classes whose `connect` opens connections; "" for the module itself."""


class Leading:
    """Where connections lead on one server.

    `opened` is called with each connection of asyncpg and its database, `asked` with the name of each database that
    somebody asks for. One that is not there yet is made as a copy of the database `begins_as`; without one it is empty.
    """

    def __init__(
        self,
        server: Server,
        opened: Callable[[asyncpg.Connection, str], None],
        asked: Callable[[str], None] = lambda database: None,
        begins_as: str = "",
    ) -> None:
        self._server, self._opened, self._asked = server, opened, asked
        self._template = f'"{begins_as}"' if begins_as else "template0 ENCODING 'UTF8'"
        self._there: set[str] = {ADMIN}
        self.refused: list[str] = []
        """What could not be led, as sentences."""

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Lead connections until the block ends."""
        with contextlib.ExitStack() as stack:
            real = getattr(connect_utils, CONNECT)
            stack.enter_context(replaced(connect_utils, CONNECT, self._connect(real)))
            for module, owners in _OTHERS.items():
                if module not in sys.modules:
                    with contextlib.suppress(ImportError):
                        __import__(module)
                for name in owners if module in sys.modules else ():
                    owner = getattr(sys.modules[module], name) if name else sys.modules[module]
                    led = self._synchronous(owner.connect, module)
                    stack.enter_context(replaced(owner, "connect", staticmethod(led) if name else led))
            yield

    def _connect(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def connect(*, connection_class: type[Any], **options: Any) -> Any:
            if issubclass(connection_class, LabConnection | OwnConnection):
                return await real(connection_class=connection_class, **options)
            database = self._named(options)
            await self._make(database)
            led = {**options, **dict.fromkeys(_PLACE & options.keys()), **self._server.connect, "database": database}
            led["server_settings"] = _settings(options, self._server)
            connection = await real(connection_class=connection_class, **led)
            self._opened(connection, database)
            return connection

        return connect

    def _named(self, options: dict[str, Any]) -> str:
        """The database that a connection asks for, as asyncpg itself reads it out of its options."""
        asked = {"dsn": options.get("dsn"), "user": options.get("user"), "database": options.get("database")}
        from sqlalchemy.engine import make_url  # noqa: PLC0415 - known to be loaded where it matters

        url = make_url(asked["dsn"].replace("postgres://", "postgresql://", 1)) if asked["dsn"] else None
        return str(asked["database"] or (url and url.database) or asked["user"] or (url and url.username) or ADMIN)

    async def _make(self, database: str) -> None:
        """Make a database that is not there yet."""
        self._asked(database)
        if database in self._there:
            return
        admin = await own_connection(self._server, database=ADMIN)
        try:
            if not await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
                quoted = database.replace('"', '""')
                with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                    await admin.execute(f'CREATE DATABASE "{quoted}" TEMPLATE {self._template}')
        finally:
            admin.terminate()

    def _synchronous(self, real: Callable[..., Any], module: str) -> Any:
        def connect(*args: Any, **named: Any) -> Any:
            conninfo = args[0] if args else named.pop("conninfo", None) or named.pop("dsn", None) or ""
            known = _parsed(module, conninfo) | {key: value for key, value in named.items() if key in _CONNINFO}
            rest = {key: value for key, value in named.items() if key not in _CONNINFO}
            database = str(known.get("dbname") or known.get("database") or known.get("user") or ADMIN)
            _in_a_thread(lambda: self._make(database))
            to = self._server.connect
            place = {"host": to.get("host"), "port": to.get("port"), "user": to.get("user"), "dbname": database}
            if to.get("password"):
                place["password"] = to["password"]
            options = {key: known[key] for key in ("options", "application_name") if known.get(key)}
            return real("", **place, **options, **rest)

        return connect


_CONNINFO = {
    *("host", "hostaddr", "port", "user", "password", "dbname", "database", "sslmode", "sslcert", "sslkey"),
    *("sslrootcert", "passfile", "service", "options", "application_name", "connect_timeout"),
}
"""What of the arguments says where a connection leads, and what it is called."""


def _parsed(module: str, conninfo: str) -> dict[str, Any]:
    if not conninfo:
        return {}
    if module == "psycopg":
        found: dict[str, Any] = sys.modules["psycopg.conninfo"].conninfo_to_dict(conninfo)
        return found
    return dict(sys.modules["psycopg2.extensions"].parse_dsn(conninfo))


def _settings(options: dict[str, Any], server: Server) -> dict[str, str]:
    return {**(server.connect.get("server_settings") or {}), **(options.get("server_settings") or {})}


def _in_a_thread(code: Callable[[], Any]) -> None:
    """Run a coroutine to its end from code that cannot await, whatever loop it runs in."""
    import threading  # noqa: PLC0415 - only synchronous drivers need it

    thread = threading.Thread(target=lambda: asyncio.run(code()))
    thread.start()
    thread.join()
