"""What faults do to sessions and to the server, and how an execution that is broken off lets go of its locks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from asyncpg import InFailedSQLTransactionError

from lab.postgres.connections.connection import LabConnection
from lab.postgres.connections.endings import learned
from lab.postgres.locks.row_locks import PostgresRowLocks
from lab.postgres.server.cluster import Cluster
from lab.postgres.server.monitor import Monitor

__all__ = ["PostgresStriker"]

TERMINATE_SECONDS = 6.0
_TERMINATE = """SELECT pg_terminate_backend(pid, wait) FROM (
SELECT pid, wait FROM unnest($1::int[]) AS pid, unnest(ARRAY[0, 5000]) AS wait ORDER BY wait) AS each"""
"""All are told before the first is waited for, up to five seconds: only then are its locks gone."""
_CANCEL = "SELECT pg_cancel_backend($1)"
_IDLE = "SET idle_in_transaction_session_timeout = 1"


class PostgresStriker:
    """See `lab.engine.ports.Striker`. `connections` are those of actors, also such as are opened later."""

    def __init__(
        self, cluster: Cluster, monitor: Monitor, connections: Sequence[LabConnection], row_locks: PostgresRowLocks
    ) -> None:
        self._cluster, self._monitor, self._row_locks = cluster, monitor, row_locks
        self._connections = connections

    def _of(self, *pids: int) -> list[LabConnection]:
        return [each for each in self._connections if each.process.pid in pids]

    async def terminate(self, pids: Sequence[int], *, at_once: bool = False) -> None:
        """End backends of actors, frozen or not, and wait until they are gone; `at_once`: their clients are cut off."""
        for connection in (struck := self._of(*pids)):
            connection.process.end()
            if at_once:
                connection.terminate()
        with contextlib.suppress(TimeoutError):  # the question itself waits for what they hold, until they are gone
            async with asyncio.timeout(TERMINATE_SECONDS):
                await self._monitor.fetch(_TERMINATE, list(pids))
        for connection in struck:
            connection.terminate()

    async def kill(self, pid: int) -> None:
        """End one backend; its client learns of it from its socket."""
        for connection in (struck := self._of(pid)):
            connection.process.end()
        await self._monitor.fetch(_TERMINATE, [pid])
        await learned(struck)

    async def disconnect(self, pid: int) -> None:
        """Cut one connection on the client's side. The server notices at once, also in a lock wait."""
        for connection in (struck := self._of(pid)):
            if not connection.is_closed():
                connection.cut()
            connection.process.end()
        await learned(struck)
        await self._monitor.fetch(_TERMINATE, [pid])

    def is_idle_in_transaction(self, pid: int) -> bool:
        """Whether a transaction is open there, and nothing under way."""
        return any(each.transaction_open and each.busy_for is None for each in self._of(pid))

    async def let_idle_time_out(self, pid: int) -> None:
        """Let the server end a session for being idle in a transaction. One that has failed takes no setting."""
        for connection in (struck := self._of(pid)):
            try:
                await connection.quietly(_IDLE)
            except InFailedSQLTransactionError:
                await self._monitor.fetch(_TERMINATE, [pid])
        await learned(struck)
        await self._monitor.fetch(_TERMINATE, [pid])

    async def let_lock_time_out(self, pid: int) -> None:
        """Cancel a statement that waits for a lock; its client reads that its lock_timeout was over."""
        for connection in self._of(pid):
            ended = connection.lock_times_out = asyncio.Event()
            if connection.process.is_frozen:
                connection.process.interrupt_if_frozen()
            else:
                await self._monitor.fetch(_CANCEL, pid)
            await ended.wait()

    async def crash(self) -> None:
        """Crash the server, and return when it is up again."""
        for connection in self._connections:
            connection.process.died()
        await self._row_locks.close()
        await self._cluster.crash()
        await learned(self._connections)
