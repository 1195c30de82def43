"""Makes the statements of a SQLAlchemy engine scheduling points, and its connections the lab's.

SQLAlchemy's asyncio layer runs its synchronous core in a greenlet, so an event handler of the engine may await:
`await_only` switches back to the event loop until the engine says that the actor goes on. User code stays as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine.interfaces import ExecuteStyle
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from lab.engine.gate import current_actor
from lab.errors import DEFECTS, ScenarioError
from lab.model.footprint import Deferred
from lab.model.trace import Action, ActionKind
from lab.postgres.connections.apart import ALL_ONE, Apart, quoted
from lab.postgres.connections.caches import CompiledCaches
from lab.postgres.connections.connection import LabConnection
from lab.postgres.connections.journal import Journal
from lab.postgres.connections.listening import listening
from lab.postgres.connections.others import led
from lab.postgres.connections.points import SAVEPOINT, SAVEPOINT_KINDS, pausable, sets_a_timer, texts
from lab.postgres.connections.settings import HOUSE_SETTINGS, YIELDING, serves_house
from lab.postgres.connections.taken import Taken
from lab.postgres.connections.unconnected import raise_if_unconnected, taken_from
from lab.postgres.connections.uses import Uses
from lab.postgres.locks.freeze import ServerProcess
from lab.postgres.locks.remedy_locks import Locking, with_lock
from lab.postgres.statements.bulk import Bulk, bulk_of
from lab.postgres.statements.footprints import footprint_of
from lab.postgres.statements.limits import limits_of
from lab.postgres.statements.shapes import Relations

__all__ = ["OWN_WAY", "Route", "instrumented"]

_OWN_OPTIONS = frozenset({"prepared_statement_cache_size", "prepared_statement_name_func", "statement_cache_size"})
"""What an engine may say itself about its connections, beside server settings."""
OWN_WAY = (
    "the watched engine makes its connections by itself (creator or async_creator), so the lab cannot "
    "lead them to its own database; make the engine from a URL"
)
_OWN_LEVEL = "lab: isolation level that the engine set when it connected"


@dataclass(frozen=True, slots=True)
class Address:
    """Where connections of watched engines go, and what a new one is given."""

    connect: Mapping[str, Any]
    """Keyword arguments for `asyncpg.connect` that replace the engine's own address and role."""
    settings: Mapping[str, str]
    may_freeze: Callable[[int], bool]
    """Whether the backend with this process id may be frozen."""
    journal: Journal
    """Where the connection writes down what is sent and answered."""
    relations: MutableMapping[int, str]
    """Names of the database's tables and indexes, by object id; what actors make is added."""
    uses: Uses
    """Where it is noticed who uses the connection."""
    catalog: Relations = field(default_factory=Relations)
    """What statements on the relations may rest on."""
    apart: Apart = ALL_ONE
    """The databases of the application that are told apart here."""
    refuse: Callable[[str], ScenarioError] = ScenarioError

    def open(self, dialect: Any, options: Mapping[str, Any]) -> Any:
        """A new connection, as SQLAlchemy's dialect wraps it; of the engine's own `options` the harmless ones count."""
        kept: dict[str, Any] = {name: value for name, value in options.items() if name in _OWN_OPTIONS}
        schema = self.schema_of(options)
        kept["server_settings"] = self.server_settings(options, schema)
        adapted = dialect.loaded_dbapi.connect(connection_class=LabConnection, **{**self.connect, **kept})
        self.adopt(adapted.driver_connection, schema, limits_of(options, kept["server_settings"]))
        return adapted

    def schema_of(self, options: Mapping[str, Any]) -> str:
        """The schema to which a connection with these options leads. Raises what `refuse` makes."""
        schema, objection = self.apart.place_of(options)
        if objection:
            raise self.refuse(f"{led() or 'the watched engine'} {objection}")
        return schema

    def server_settings(self, options: Mapping[str, Any], schema: str) -> dict[str, str]:
        """Those that code gave in its own `options`, with the lab's on top."""
        own = options.get("server_settings") or {}
        place = {"search_path": quoted(schema)} if schema else {}
        house = HOUSE_SETTINGS if serves_house.get() else {}
        lab = {name: value for name, value in self.settings.items() if name not in own or name not in YIELDING}
        return {**own, **self.connect.get("server_settings", {}), **lab, **house, **place}

    def adopt(self, connection: LabConnection, schema: str, limits: Collection[str]) -> None:
        """Give a new connection what it needs to know of its place. `limits`: those of time with which it begins."""
        connection.schema = schema
        pid = connection.get_server_pid()
        connection.process = ServerProcess(pid, may_freeze=self.may_freeze(pid))
        connection.process.limits.update(limits)
        connection.relations = self.relations
        connection.catalog = self.catalog
        connection.journal = self.journal
        connection.uses = self.uses


@dataclass(frozen=True, slots=True)
class Route:
    """How a watched engine reaches the lab's database, and what its statements are met with."""

    address: Address
    opened: Callable[[LabConnection], None]
    """Called with every connection that was opened."""
    isolation: Callable[[str | None], str]
    """Name of a root actor (None outside an execution) -> the isolation level of its transactions."""
    relations: Relations = field(default_factory=Relations)
    """What the catalog says of what a statement touches."""
    locking: Callable[[], Locking | None] = lambda: None
    """The locks that are to be added to what actors do now."""
    notices: Callable[[str, int, str], None] = lambda actor, pid, statement: None
    """Called with an actor, its backend and the statement that it is about to send."""
    caches: CompiledCaches = field(default_factory=CompiledCaches)
    """Takes note of the compiled caches that statements use."""
    taken: Taken = field(default_factory=Taken)
    """Takes note of the connections that actors take."""
    active: Callable[[], bool] = lambda: True
    """Whether the engine goes this way now; an application's engine does only during an execution."""


def instrumented(engine: AsyncEngine, route: Route) -> contextlib.AbstractContextManager[None]:
    """Watch an engine until the block ends. Connections that it had before must have been disposed of."""
    return listening(
        (engine.sync_engine.dialect, "do_connect", _connector(route.address, route.opened, route.active), {}),
        (engine.sync_engine, "before_cursor_execute", _before_statement(route), {"retval": True}),
        (engine.sync_engine, "checkout", _isolate(engine, route), {}),
    )


def _before_statement(route: Route) -> Callable[..., tuple[str, Any]]:
    relations, locking_now, active, notices = route.relations, route.locking, route.active, route.notices
    note_caches_of = route.caches.note

    def before_statement(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> tuple[str, Any]:
        note_caches_of(context)
        actor = current_actor()
        if actor is None or not active() or not in_greenlet():  # without one SQLAlchemy refuses to send anything
            return statement, parameters
        fairy = connection.connection
        driver, bulk, touches = _driver(fairy), None, None
        where, taken = ("", None) if driver is None else (driver.schema, driver.taken)
        sent, level = statement, "" if driver is None else _level(fairy, driver)
        if driver is not None and (locking := locking_now()) is not None:
            sent = _locked(locking, driver, connection, actor.name, statement, context)
        if driver is not None and not driver.transaction_open:
            driver.transaction_footprint.begins()
        if found := SAVEPOINT.match(statement):
            kind = SAVEPOINT_KINDS[found[1].upper()]
            if driver is not None and kind is not ActionKind.SAVEPOINT:
                touches = driver.transaction_footprint.end(level, in_part=True)
            action = Action(kind, found[2], touches=touches, database=where, taken=taken)
        else:
            if driver is not None:
                notices(actor.root.name, driver.process.pid, statement)
                locked = sent != statement
                touches = _of_statement(relations, driver, level, context, sent, locked=locked)
                bulk = _bulk(driver, level, context, sent, locked=locked) or pausable(driver, level, sent, parameters)
            several = executemany and context.execute_style is not ExecuteStyle.INSERTMANYVALUES
            action = Action(ActionKind.STATEMENT, sent, texts(parameters, several=several), touches, where, taken)
        if (gate := actor.parks(action, bulk)) is not None:
            with contextlib.nullcontext() if driver is None else driver.uses.of(driver):
                await_only(actor.stay(gate))
        if driver is not None:
            raise_if_unconnected(actor, driver, connection)
            _announce(driver, action, context, sent, parameters)
        return sent, parameters

    return before_statement


def _announce(driver: LabConnection, action: Action, context: Any, sent: str, parameters: Any) -> None:
    """The statement that comes next on the wire has parked already."""
    driver.announced, driver.taken = True, None
    if not driver.journal.open:
        return
    if action.kind is ActionKind.STATEMENT:
        driver.journal.sends(driver.line, context, sent, parameters, driver.schema)
    else:
        driver.journal.marks(driver.line, action.kind, action.text)


def _locked(locking: Locking, driver: LabConnection, connection: Any, actor: str, statement: str, context: Any) -> str:
    """The statement with the locks of a remedy; those that come before it have been taken. Not outside transactions."""
    if _level(connection.connection, driver) == "AUTOCOMMIT":
        return statement
    try:
        if not driver.transaction_open:
            locking.begin(connection, actor, context, driver.schema)
        return locking.read(connection, statement, context, driver.schema)
    except DEFECTS as error:  # it is no error of the actor's
        locking.broke(error)
        return statement


def _bulk(driver: LabConnection, level: str, context: Any, statement: str, *, locked: bool) -> Bulk | None:
    """What breakpoints need to know of a statement; None where its session would notice a pause."""
    driver.notices_pauses |= sets_a_timer(statement)
    if driver.notices_pauses or "SERIALIZABLE" in (level, driver.isolation):
        return None
    return bulk_of(context, statement, locked=locked, schema=driver.schema)


def _of_statement(
    relations: Relations, driver: LabConnection, level: str, context: Any, sent: str, *, locked: bool
) -> Deferred:
    """What a statement that is about to be executed may touch."""
    unknown = level == "AUTOCOMMIT" or driver.journal.altered  # what is known of tables may no longer be true
    touched = footprint_of(None if unknown else context, relations.shapes, driver.schema)
    if locked:
        touched = with_lock(touched)
    return driver.transaction_footprint.statement(
        touched, level, "" if unknown else sent, relations, driver.process.pid
    )


def _driver(fairy: Any) -> LabConnection | None:
    driver = fairy.driver_connection
    return driver if issubclass(type(driver), LabConnection) else None


def _level(fairy: Any, driver: LabConnection) -> str:
    """The isolation level of the transaction: the one that the code or its engine asks for, or else the session's."""
    asked = fairy.dbapi_connection.isolation_level
    driver.level = driver.isolation if asked is None else str(asked).upper().replace("_", " ")
    return driver.level


def _connector(
    address: Address, opened: Callable[[LabConnection], None], active: Callable[[], bool]
) -> Callable[..., Any]:
    def connect(dialect: Any, record: Any, args: list[Any], options: dict[str, Any]) -> Any:
        if not active():
            return None
        actor = current_actor()
        if actor is None:
            adapted = address.open(dialect, options)
        else:
            with actor.busy():
                adapted = address.open(dialect, options)
        opened(adapted.driver_connection)
        return adapted

    return connect


def _isolate(engine: AsyncEngine, route: Route) -> Callable[..., None]:
    """Give the session the isolation level of the actor that takes it; a level that the code sets itself wins."""

    def isolate(dbapi_connection: Any, record: Any, proxy: Any) -> None:
        actor = current_actor()
        level = route.isolation(actor.root.name if actor else None)
        connection = dbapi_connection.driver_connection
        if not issubclass(type(connection), LabConnection):  # asyncpg takes any of its kind for an instance
            raise ScenarioError(OWN_WAY)
        connection.adapted = dbapi_connection
        # Code may set a level for one checkout. SQLAlchemy then goes back to the dialect's default by name, which
        # would hide the session's own from then on: go back to what the engine asked for when it connected.
        own = record.info.setdefault(_OWN_LEVEL, dbapi_connection.isolation_level)
        dbapi_connection.isolation_level = dbapi_connection._isolation_setting = own  # noqa: SLF001
        if connection.isolation != level:
            connection.in_use = False
            await_only(connection.isolate(level))
        connection.in_use, connection.taken = True, taken_from(engine.pool)
        if actor is not None:
            route.taken.takes(actor, proxy, record, engine.pool, route.address.uses.now())

    return isolate
