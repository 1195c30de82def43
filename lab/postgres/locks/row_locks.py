"""Holds a row lock for a breakpoint, on a connection of the lab's own.

The lab's session never waits for a row (SKIP LOCKED) and for a table only a moment (`lock_timeout`; at rest nobody lets
go of a table, so the answer does not depend on how long), hence it is never part of a deadlock. Finding the rows of a
statement locks them for the time of that one query: the lock is how the lab knows that the statement could have it.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import Any

from asyncpg import PostgresError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from lab.engine.ports import LockableRow
from lab.errors import ServerError
from lab.postgres.connections.settings import ACTOR_SETTINGS, HOUSE_SETTINGS, guarding
from lab.postgres.locks.known import Session, rows_taken
from lab.postgres.recording.results import is_connection_loss
from lab.postgres.server.server import Server
from lab.postgres.statements.bulk import Bulk
from lab.postgres.statements.met import Met, MetRow
from lab.postgres.statements.pieces import qualified

__all__ = ["PostgresRowLocks"]

SETTINGS = {
    **guarding(0),
    **HOUSE_SETTINGS,
    **ACTOR_SETTINGS,
    "application_name": "concurrency-lab breakpoints",
    "lock_timeout": "20ms",
}
"""Those of an actor, so that the rows come in the order of the actor's own plan; and a bound for table locks."""
ON_OWN_SERVER = {"session_replication_role": "replica"}
"""No triggers and no foreign keys for rows that are held by making them. Elsewhere nothing is held."""
DIED = "the server died while rows for breakpoints were looked up"
NUMBER = '"number of the row"'
"""A column beside those of a table."""
ROWS_AT_MOST = 1000
"""A statement that meets more rows is left alone: finding them would cost as much as the statement."""


class PostgresRowLocks:
    """The engine's `RowLocks`. Connects when it is first needed, since most scenarios never do."""

    def __init__(self, server: Server, database: str, sessions: Sequence[Session] = ()) -> None:
        """`sessions`: all that there are beside the lab's own, where that is known."""
        options = {**server.connect, "database": database}
        own = {} if server.folder is None else ON_OWN_SERVER
        options["server_settings"] = {**options.get("server_settings", {}), **SETTINGS, **own}
        self._options = options
        self._connection: AsyncConnection | None = None
        self._driver: Any = None
        self._holding = False
        self._sessions = sessions

    @property
    def is_holding(self) -> bool:
        """Whether it may hold rows."""
        return self._holding

    @property
    def pid(self) -> int:
        """See `RowLocks`."""
        return int(self._driver.get_server_pid())

    async def rows(self, statement: object) -> Sequence[LockableRow]:
        """See `RowLocks`. A statement for which no such query exists has none."""
        await self._open()  # whoever asked for rows may then ask for this session's process
        if isinstance(statement, Met):
            taken = rows_taken(self._sessions, statement.rows)
            if taken is None:
                taken = await self._taken(statement)
            free = itertools.takewhile(lambda row: row not in taken, statement.rows)
            early = statement.looks
            return [LockableRow(row.name, (at,), row.text, early and not at) for at, row in enumerate(free)]
        assert isinstance(statement, Bulk)
        if statement.question is None:
            return ()
        found: dict[tuple[object, ...], LockableRow] = {}
        for row in await self._ask(statement, *statement.question):
            _, lockable, *values = row
            key = tuple(values)
            if not lockable or len(found) > ROWS_AT_MOST:
                break  # the statement waits there by itself, and never gets further in this step
            name = statement.table.name
            name = name if statement.table.schema else qualified(name, statement.schema)
            early = statement.looks and not found
            found.setdefault(key, LockableRow(name, key, _readable(statement, key), early))
        return tuple(found.values())

    async def hold(self, statement: object, row: LockableRow) -> bool:
        """See `RowLocks`."""
        if not self._holding:
            self._holding = True
            await self._command("BEGIN")
        if isinstance(statement, Met):
            return await self._hold_met(statement.rows[int(str(row.key[0]))])
        assert isinstance(statement, Bulk)
        keys = statement.table.primary_key.columns
        here = (column == value for column, value in zip(keys, row.key, strict=True))
        return bool(await self._ask(statement, select(*keys).where(*here).with_for_update(skip_locked=True), {}))

    async def _hold_met(self, row: MetRow) -> bool:
        """Hold a row that the statement was seen to write. One that is not there is made, without triggers and checks.

        Its key is then taken until the insert is rolled back.
        """
        locked = await self._lock_met(row)
        if locked is None or locked:
            return bool(locked)
        if await self._driver.fetch(f"SELECT {_place(row)}", row.values):
            return False  # somebody has locked it
        columns = ", ".join(row.columns)
        try:
            await self._driver.execute("SAVEPOINT made")
            await self._driver.execute(
                f"INSERT INTO {row.quoted} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} "
                f"FROM jsonb_populate_record(NULL::{row.quoted}, $1::jsonb)",
                row.values,
            )
        except PostgresError as error:
            if is_connection_loss(error):
                raise ServerError(DIED) from error
            await self._driver.execute("ROLLBACK TO made")
            return False  # somebody else is making it
        return True

    async def _taken(self, statement: Met) -> Collection[MetRow]:
        """The rows that a transaction has locked: the statement waits there by itself, or they are its own."""
        found = set[MetRow]()
        for table in {row.quoted: row.key for row in statement.rows}.items():
            rows = [row for row in statement.rows if row.quoted == table[0]]
            try:
                answer = await self._driver.fetch(_taken_of(*table), f"[{', '.join(row.values for row in rows)}]")
            except PostgresError as error:
                if is_connection_loss(error):
                    raise ServerError(DIED) from error
                return statement.rows  # a table that somebody has locked, or that is gone
            found.update(rows[number - 1] for (number,) in answer)
        return found

    async def is_taken(self, statement: object, row: LockableRow) -> bool:
        """See `RowLocks`. A row that the lab would have to make is one that the statement has made."""
        if not isinstance(statement, Met):
            return not await self.hold(statement, row)
        return await self._lock_met(statement.rows[int(str(row.key[0]))]) is False

    async def _lock_met(self, row: MetRow) -> bool | None:
        """Lock a row if it is there and free; None where its values may no longer be made, as those of a domain."""
        try:
            return bool(await self._driver.fetch(f"SELECT {_place(row)} FOR UPDATE OF t SKIP LOCKED", row.values))
        except PostgresError as error:
            if is_connection_loss(error):
                raise ServerError(DIED) from error
            if self._holding:
                await self._driver.execute("ROLLBACK")
                await self._driver.execute("BEGIN")
            return None

    async def let_go(self) -> None:
        """See `RowLocks`."""
        if self._holding:
            self._holding = False
            await self._command("ROLLBACK")

    async def close(self) -> None:
        """Disconnect, also from a server that is gone; a later question connects anew."""
        connection, self._connection, self._holding = self._connection, None, False
        if connection is not None:
            self._driver.terminate()
            await connection.invalidate()
            await connection.close()

    async def _command(self, command: str) -> None:
        await (await self._open()).exec_driver_sql(command)

    async def _ask(self, statement: Bulk, query: Any, parameters: Any) -> Sequence[Any]:
        connection = await self._open()
        options = {"schema_translate_map": {None: statement.schema}} if statement.schema else {}
        try:
            return (await connection.execute(query, parameters, execution_options=options)).all()
        except SQLAlchemyError as error:
            if is_connection_loss(error):
                raise ServerError(DIED) from error
            # A table that only the actor sees or has locked, or an ORDER BY of what the query does not select: there
            # is no breakpoint.
            return ()

    async def _open(self) -> AsyncConnection:
        if self._connection is None:
            options = {"poolclass": NullPool, "isolation_level": "AUTOCOMMIT"}
            engine = create_async_engine("postgresql+asyncpg://", connect_args=self._options, **options)
            self._connection = await engine.connect()
            self._driver = (await self._connection.get_raw_connection()).driver_connection
        return self._connection


def _readable(statement: Bulk, key: tuple[object, ...]) -> str:
    columns = statement.table.primary_key.columns
    return ", ".join(f"{column.name}={value!r}" for column, value in zip(columns, key, strict=True))


def _place(row: MetRow) -> str:
    """Where the row is, with its values as parameter."""
    same = " AND ".join(f"t.{column} = r.{column}" for column in row.key)
    return f"FROM ONLY {row.quoted} t, jsonb_populate_record(NULL::{row.quoted}, $1::jsonb) r WHERE {same}"


def _taken_of(quoted: str, key: Sequence[str]) -> str:
    """The query for those of some rows, given as a JSON array, that are there and that somebody has locked."""
    keys = ", ".join(key)
    return (
        f"WITH given AS MATERIALIZED (SELECT each.{NUMBER}, row.* FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY "
        f"AS each (value, {NUMBER}), jsonb_populate_record(NULL::{quoted}, each.value) AS row), "
        f"free AS MATERIALIZED (SELECT t.{', t.'.join(key)} FROM ONLY {quoted} t WHERE ({keys}) IN (SELECT {keys} "
        f"FROM given) FOR UPDATE OF t SKIP LOCKED) SELECT {NUMBER} FROM given WHERE ({keys}) IN (SELECT {keys} "
        f"FROM ONLY {quoted}) AND ({keys}) NOT IN (SELECT {keys} FROM free)"
    )
