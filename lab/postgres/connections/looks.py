"""A snapshot of what is committed, for the lab's own questions while actors are in the middle of something.

It takes no row lock, no number of a transaction and no predicate lock, and is over before anybody goes on. It locks the
tables that it reads against being altered, and gives up where it would have to wait for that: all are at rest, so what
is locked stays locked, and nobody else could read these tables now either.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from lab.postgres.connections.connection import LabConnection

__all__ = ["PATIENCE", "TAKEN", "snapshot_of"]

PATIENCE = "100ms"
"""How long it waits for a lock of a session that is about to end; one of an actor's is not given back meanwhile."""
TAKEN = "55P03"
"""What it is refused with: the SQLSTATE of `lock_not_available`."""
_BEGIN = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '{PATIENCE}'"


@contextlib.asynccontextmanager
async def snapshot_of(connection: LabConnection) -> AsyncIterator[None]:
    """A transaction of a connection that is no actor's, which reads one snapshot and can write nothing."""
    await connection.quietly(_BEGIN)
    try:
        yield
    finally:
        if connection.transaction_open:
            await connection.quietly("ROLLBACK")
