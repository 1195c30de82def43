"""Leads whatever an actor opens to the lab's database, and refuses what cannot be led.

All ways to open a connection with asyncpg (`connect`, a pool, SQLAlchemy's dialect, a name that was imported long ago)
meet in one function, which is replaced for the time of an execution. An engine of SQLAlchemy is lent to the lab when an
actor first takes a connection of it. A connection that was open before the execution is an application's own: it has
no way to the lab's database, so whoever uses it is refused, by what stands under the one attribute that every operation
asks for. Code that is no actor's is passed through untouched, and everything is put back at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from asyncpg import connect_utils
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from lab.engine.gate import Actor, current_actor
from lab.engine.replaced import replaced
from lab.errors import ScenarioError
from lab.postgres.connections.apart import Apart
from lab.postgres.connections.connection import LabConnection
from lab.postgres.connections.drivers import Drivers, permitted
from lab.postgres.connections.others import CONNECT, Guard, led, led_as
from lab.postgres.connections.redirect import Redirected
from lab.postgres.connections.unconnected import FROM_SERVER
from lab.postgres.connections.watch import Route
from lab.postgres.statements.limits import limits_of

__all__ = ["Lead"]

_PROTOCOL = "_protocol"
_KEPT = ("statement_cache_size", "max_cached_statement_lifetime", "max_cacheable_statement_size")
"""What code may say itself about the connection that it opens, beside server settings."""


class Lead:
    """What actors open in the executions of one database. `house` are the engines that lead there anyway.

    `apart` says which databases of the application are told apart.
    """

    def __init__(self, route: Route, house: Collection[Engine], apart: Apart) -> None:
        address = dataclasses.replace(route.address, apart=apart, refuse=self.refuse)
        self._route = dataclasses.replace(route, address=address)
        self._house = house
        self._lent: dict[Engine, Redirected] = {}
        self._classes: dict[type[Any], type[LabConnection]] = {asyncpg.Connection: LabConnection}
        self._refusal: ScenarioError | None = None
        self._drivers = Drivers(self.refuse, route.address.connect)
        self._outside: Collection[str] = ()
        self._taking: set[asyncio.Task[Any]] = set()
        """The tasks in which SQLAlchemy takes a connection from a pool."""
        self.used: set[Engine] = set()
        """The engines of which actors took connections in the execution that runs, or ran last."""

    async def lend(self, watched: Collection[AsyncEngine], actors: int) -> None:
        """Send the application's engines to the lab's database, warm, until `give_back`; others when they are used."""
        for damaged in [each for each, redirected in self._lent.items() if redirected.damaged]:
            self._lent.pop(damaged).close()
        for engine in watched:
            own = engine.sync_engine
            if own not in self._lent:
                self._lent[own] = Redirected(engine, self._route)
            self._lent[own].on()
            await self._lent[own].warm(actors)
        kept = {each.sync_engine for each in watched} | self.used
        for unused in [each for each in self._lent if each not in kept]:
            self._lent.pop(unused).close()

    def give_back(self) -> None:
        """Let the application's engines work with their own connections again."""
        for each in self._lent.values():
            each.off()

    def close(self) -> None:
        """Give everything back for good."""
        for each in self._lent.values():
            each.close()
        self._lent.clear()

    @contextlib.contextmanager
    def leading(self, outside: Collection[str] = (), code: str = "") -> Iterator[None]:
        """Lead actors until the block ends, or, named as `code`, what is called in it: a setup, a hook, invariants.

        `outside` names dialects and hosts that are meant to be reached. Raises `ScenarioError` if anything was refused.
        """
        self._refusal, self._outside = None, outside
        if not code:
            self.used.clear()
        with (
            led_as(code),
            self._drivers.refused(outside),
            replaced(connect_utils, CONNECT, self._connect(getattr(connect_utils, CONNECT))),
            replaced(asyncpg.Connection, _PROTOCOL, Guard(vars(asyncpg.Connection)[_PROTOCOL], self.refuse)),
            self._route.address.uses.noticed(),
            self._route.taken.noticed(),
            replaced(Engine, "raw_connection", self._raw_connection(Engine.raw_connection)),
        ):
            try:
                yield
            except Exception:
                if self._refusal is None:
                    raise
        if self._refusal is not None:
            raise self._refusal

    def refuse(self, sentence: str) -> ScenarioError:
        """An error to raise in an actor; its execution is no execution then, whatever the actor makes of it."""
        self._refusal = self._refusal or ScenarioError(sentence)
        return ScenarioError(sentence)

    # ------------------------------------------------------------------ asyncpg

    def _connect(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def connect(*, loop: Any, connection_class: type[Any], record_class: Any, **options: Any) -> Any:
            if not led() or issubclass(connection_class, LabConnection) or _host(options) in self._outside:
                with permitted():
                    return await real(
                        loop=loop, connection_class=connection_class, record_class=record_class, **options
                    )
            actor = current_actor()
            with contextlib.nullcontext() if actor is None else actor.busy():
                return await self._open(actor, self._class_like(connection_class), record_class, options)

        return connect

    def _class_like(self, wished: type[Any]) -> type[LabConnection]:
        """The lab's connection, with what the application's own class adds."""
        if wished not in self._classes:
            self._classes[wished] = type(wished.__name__, (LabConnection, wished), {})
        return self._classes[wished]

    async def _open(
        self, actor: Actor | None, connection_class: type[LabConnection], record_class: Any, options: dict[str, Any]
    ) -> LabConnection:
        address = self._route.address
        own = {name: options[name] for name in _KEPT if name in options}
        schema = address.schema_of(options)
        settings = address.server_settings(options, schema)
        connection: LabConnection = await asyncpg.connect(
            **{**address.connect, **own, "server_settings": settings},
            connection_class=connection_class,
            record_class=record_class,
        )
        address.adopt(connection, schema, limits_of(options, settings))
        self._route.opened(connection)
        if _task() not in self._taking:  # SQLAlchemy sets its own up, and says when they are in use
            connection.levels = self._route.isolation
            await connection.isolate(self._route.isolation(None if actor is None else actor.root.name))
            connection.in_use, connection.taken = True, FROM_SERVER
        return connection

    # ------------------------------------------------------------------ SQLAlchemy

    def _raw_connection(self, real: Callable[[Engine], Any]) -> Callable[[Engine], Any]:
        def raw_connection(engine: Engine) -> Any:
            own = getattr(engine, "_proxied", engine)  # the engine behind one with options of its own
            if (who := led()) and own not in self.used and own not in self._house:
                self._lend(who, own)
            task = _task() if who else None
            if task is None:
                return real(engine)
            self._taking.add(task)
            try:
                return real(engine)
            finally:
                self._taking.discard(task)

        return raw_connection

    def _lend(self, who: str, engine: Engine) -> None:
        """Send an engine of the application's to the lab's database."""
        self.used.add(engine)
        url = engine.url
        if engine.dialect.driver != "asyncpg":
            if not {engine.dialect.name, engine.dialect.driver, url.host}.isdisjoint(self._outside):
                return
            raise self.refuse(
                f"{who} uses the engine {url.render_as_string()}, whose driver {engine.dialect.driver} the lab "
                "cannot lead to its own database; make the engine with postgresql+asyncpg, or write "
                f'outside = ("{engine.dialect.name}",) in the scenario if it is meant'
            )
        if engine not in self._lent:
            self._lent[engine] = Redirected(AsyncEngine(engine), self._route)
        self._lent[engine].on()
        self._lent[engine].chill()


def _task() -> asyncio.Task[Any] | None:
    """The task that runs; None in a thread."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _host(options: Mapping[str, Any]) -> str | None:
    """Where a call of asyncpg leads, as far as it says so: by name, or within a URL."""
    return options.get("host") or urlsplit(options.get("dsn") or "").hostname
