"""Pools of connections as an actor meets them that waits for one: which pool it is, how it stands, who has taken of it.

Who takes and gives back is noted in executions that are reported, at the one method of each kind of pool for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy
from asyncpg.pool import PoolAcquireContext
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from lab.engine.ports import AnyPool, Libraries
from lab.engine.replaced import replaced

__all__ = ["LIBRARIES"]

Note = Callable[[object], object]


def pool_among(owners: Iterable[object]) -> AnyPool | None:
    """The pool whose methods a stack goes through, if there is one; `owners` are the `self` of its frames."""
    found: AnyPool | None = None
    database = ""
    for each in owners:
        if isinstance(each, Engine):
            database = each.url.database or ""
        elif isinstance(each, QueuePool):
            out = f"whose connections are all taken ({each.checkedout()})"
            found = AnyPool(each, f"{type(each).__name__} of {database}" if database else type(each).__name__, out)
        elif isinstance(each, asyncpg.Pool):
            found = AnyPool(each, "asyncpg.Pool", f"whose connections are all taken ({each.get_max_size()})")
    return found


@contextlib.contextmanager
def pools_noted(takes: Note, gives: Note) -> Iterator[None]:
    """Until the block ends, call these with the pool when a connection is taken of it and given back."""
    with (
        replaced(QueuePool, "_do_get", _getting(QueuePool._do_get, takes)),  # noqa: SLF001 - the one way to a connection of it
        replaced(QueuePool, "_do_return_conn", _returning(QueuePool._do_return_conn, gives)),  # noqa: SLF001 - and back
        replaced(PoolAcquireContext, "__aenter__", _entering(PoolAcquireContext.__aenter__, takes)),
        replaced(PoolAcquireContext, "__await__", _awaiting(PoolAcquireContext.__await__, takes)),
        replaced(asyncpg.Pool, "release", _releasing(asyncpg.Pool.release, gives)),
    ):
        yield


def _getting(real: Any, takes: Note) -> Any:
    def do_get(pool: Any) -> Any:
        entry = real(pool)
        takes(pool)
        return entry

    return do_get


def _returning(real: Any, gives: Note) -> Any:
    def do_return_conn(pool: Any, record: Any) -> None:
        gives(pool)
        real(pool, record)

    return do_return_conn


def _entering(real: Any, takes: Note) -> Any:
    async def aenter(context: Any) -> Any:
        connection = await real(context)
        takes(context.pool)
        return connection

    return aenter


def _awaiting(real: Any, takes: Note) -> Any:
    def await_(context: Any) -> Generator[Any, Any, Any]:
        connection = yield from real(context)
        takes(context.pool)
        return connection

    return await_


def _releasing(real: Any, gives: Note) -> Any:
    async def release(pool: Any, *args: Any, **named: Any) -> Any:
        gives(pool)
        return await real(pool, *args, **named)

    return release


LIBRARIES = Libraries(
    driver=str(Path(asyncpg.__file__).parent),
    sessions=str(Path(sqlalchemy.__file__).parent),
    pool_among=pool_among,
    pools_noted=pools_noted,
)
"""The libraries through which actors reach the database, as the engine sees them."""
