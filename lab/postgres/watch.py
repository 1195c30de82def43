"""Makes the statements of a SQLAlchemy engine scheduling points, and its connections the lab's.

SQLAlchemy's asyncio layer runs its synchronous core in a greenlet, so an event handler of the engine may await:
`await_only` switches back to the event loop until the engine says that the actor goes on. User code stays as it is.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

from lab.engine.gate import arrive, current_actor
from lab.postgres.connection import LabConnection, ServerProcess
from lab.trace import Action, ActionKind

__all__ = ["Route", "instrumented"]

_SAVEPOINT = re.compile(r"\s*(SAVEPOINT|RELEASE|ROLLBACK TO)\s+(?:SAVEPOINT\s+)?(\S+)\s*$", re.IGNORECASE)
"""SQLAlchemy sends these as statements like any other, so its events for them would be a second point each."""
_OWN_LEVEL = "lab: isolation level that the engine set when it connected"
_SAVEPOINT_KINDS = {
    "SAVEPOINT": ActionKind.SAVEPOINT,
    "RELEASE": ActionKind.RELEASE,
    "ROLLBACK TO": ActionKind.ROLLBACK_TO,
}


@dataclass(frozen=True, slots=True)
class Route:
    """Where connections of a watched engine go, with which settings, and whose backends may be frozen."""

    connect: Mapping[str, Any]
    """Keyword arguments for `asyncpg.connect` that replace the engine's own address and role."""
    settings: Mapping[str, str]
    may_freeze: Callable[[int], bool]
    isolation: Callable[[str | None], str]
    """Name of a root actor (None outside an execution) -> the isolation level of its transactions."""
    opened: Callable[[LabConnection], None]
    """Told of every connection that was opened."""


@contextlib.contextmanager
def instrumented(engine: AsyncEngine, route: Route) -> Iterator[None]:
    """Watch an engine until the block ends. Connections that it had before must have been disposed of."""
    listeners: list[tuple[Any, str, Callable[..., Any]]] = [
        (engine.sync_engine.dialect, "do_connect", _connector(route)),
        (engine.sync_engine, "before_cursor_execute", _before_statement),
        (engine.sync_engine, "commit", _park_at(ActionKind.COMMIT)),
        (engine.sync_engine, "rollback", _park_at(ActionKind.ROLLBACK)),
        (engine.sync_engine, "checkout", _isolate(route)),
    ]
    for target, name, handler in listeners:
        event.listen(target, name, handler)
    try:
        yield
    finally:
        for target, name, handler in listeners:
            event.remove(target, name, handler)


def _before_statement(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> None:
    if current_actor() is None:
        return
    if found := _SAVEPOINT.match(statement):
        action = Action(_SAVEPOINT_KINDS[found[1].upper()], found[2])
    else:
        action = Action(ActionKind.STATEMENT, statement, _texts(parameters, executemany))
    await_only(arrive(action))


def _texts(parameters: Any, executemany: bool) -> tuple[object, ...]:
    if not parameters:
        return ()
    if executemany:
        return tuple(tuple(map(repr, row)) for row in parameters)
    return tuple(map(repr, parameters))


def _park_at(kind: ActionKind) -> Callable[[Any], None]:
    def park(connection: Any) -> None:
        if current_actor() is not None:
            await_only(arrive(Action(kind)))

    return park


def _connector(route: Route) -> Callable[..., Any]:
    def connect(dialect: Any, record: Any, args: list[Any], options: dict[str, Any]) -> Any:
        own = {"prepared_statement_cache_size", "prepared_statement_name_func", "statement_cache_size"}
        kept = {name: value for name, value in options.items() if name in own}
        kept["server_settings"] = {**(options.get("server_settings") or {}), **route.settings}
        actor = current_actor()
        if actor is None:
            return _open(dialect, route, kept)
        actor.flights += 1  # opening a connection is an operation under way, though no decision waits for it
        try:
            return _open(dialect, route, kept)
        finally:
            actor.flights -= 1
            actor.running_again()
            actor.execution.arm()

    return connect


def _open(dialect: Any, route: Route, options: dict[str, Any]) -> Any:
    adapted = dialect.loaded_dbapi.connect(connection_class=LabConnection, **options, **route.connect)
    connection: LabConnection = adapted.driver_connection
    pid = connection.get_server_pid()
    connection.process = ServerProcess(pid, may_freeze=route.may_freeze(pid))
    route.opened(connection)
    return adapted


def _isolate(route: Route) -> Callable[..., None]:
    """Give the session the isolation level of the actor that takes it; a level that the code sets itself wins."""

    def isolate(dbapi_connection: Any, record: Any, proxy: Any) -> None:
        actor = current_actor()
        level = route.isolation(actor.root.name if actor else None)
        connection: LabConnection = dbapi_connection.driver_connection
        # Code may set a level for one checkout. SQLAlchemy then goes back to the dialect's default by name, which
        # would hide the session's own from then on: go back to what the engine asked for when it connected.
        own = record.info.setdefault(_OWN_LEVEL, dbapi_connection.isolation_level)
        dbapi_connection.isolation_level = dbapi_connection._isolation_setting = own  # noqa: SLF001
        if connection.isolation != level:
            before = actor.result if actor else None
            await_only(connection.isolate(level))
            if actor:
                actor.result = before  # the answer to the lab's own statement is no part of the step

    return isolate
