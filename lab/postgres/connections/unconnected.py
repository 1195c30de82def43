"""Connections that an actor has taken and not used yet: of what kind of pool, and what it is told that gets none."""

from __future__ import annotations

from typing import Any, NoReturn

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import Pool, QueuePool

from lab.engine.gate import Actor
from lab.engine.refused import Unconnected
from lab.model.trace import Result, Taken
from lab.postgres.connections.pool import ActorPool

__all__ = ["FROM_SERVER", "raise_if_unconnected", "taken_from"]

FROM_SERVER = Taken()
_DEFAULTS = 5, 10, 30.0
"""SQLAlchemy's size, overflow and seconds of a pool: the lab's own session stands for one of an engine with these."""
_UNLIMITED = -1


def taken_from(pool: Pool) -> Taken:
    """A connection that was taken from this pool."""
    limits = _limits(pool)
    return FROM_SERVER if limits is None else Taken(limits[-1])


def _limits(pool: Pool) -> tuple[int, int, float] | None:
    """Its size, its overflow, and how long it lets wait; None for a pool without an end."""
    if isinstance(pool, ActorPool):
        return _DEFAULTS
    if not isinstance(pool, QueuePool) or pool._max_overflow == _UNLIMITED:  # noqa: SLF001 - `overflow` is that of now
        return None
    return pool.size(), pool._max_overflow, pool.timeout()  # noqa: SLF001


def raise_if_unconnected(actor: Actor, driver: Any, connection: Connection | None) -> None:
    """Raise what the driver or the pool raises, if a fault keeps the connection of an actor back that it would use.

    `connection` is SQLAlchemy's, None for a driver's without one. The next that is sent on it is another try.
    """
    if not isinstance(refused := actor.refused, Unconnected):
        return
    actor.refused = None
    error = _error(refused, connection)
    actor.execution.answered(actor, Result(error=refused.sqlstate or type(error).__name__))
    raise error


def _error(refused: Unconnected, connection: Connection | None) -> BaseException:
    if refused.sqlstate:
        error = asyncpg.PostgresError.new({"C": refused.sqlstate, "S": "FATAL", "M": refused.message})
        return error if connection is None else _as_connecting(connection, error)
    size, overflow, seconds = (None if connection is None else _limits(connection.engine.pool)) or _DEFAULTS
    limit = f"QueuePool limit of size {size} overflow {overflow} reached, {refused.message}, timeout {seconds:.2f}"
    return PoolTimeout(limit, code="3o7r")


def _as_connecting(connection: Connection, error: Exception) -> BaseException:
    """What SQLAlchemy raises for an error of the driver's while it connects: it depends on its version."""
    dialect = connection.dialect

    async def refused() -> NoReturn:
        raise error

    try:
        try:
            dialect.loaded_dbapi.connect(async_creator_fn=refused)
        except dialect.loaded_dbapi.Error as wrapped:
            Connection._handle_dbapi_exception_noconnection(wrapped, dialect, connection.engine)  # noqa: SLF001 - as `Connection` does
    except (asyncpg.PostgresError, DBAPIError) as raised:
        return raised
    raise AssertionError("a refused connection was opened")
