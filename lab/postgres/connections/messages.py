"""Brings notifications (LISTEN and NOTIFY) to their listeners at moments that the schedule decides.

PostgreSQL sends a notification after the COMMIT of whoever notified, to sessions in which no transaction is open, as
soon as it gets to it. How soon that is, is chance. But the COMMIT is answered only once listening backends have been
signalled, and such a backend sends what it has before it says that it is ready again. So one question to each of them,
at rest, is proof that nothing is under way. What arrives in between is kept until then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection

from lab.postgres.connections.connection import LabConnection
from lab.postgres.server.monitor import LOST

__all__ = ["Messages"]

_ASK = "SHOW client_encoding"
"""Takes no snapshot, so it is nothing to a serializable transaction either."""


class Messages:
    """See `lab.engine.ports.Messages`. `connections` are all of the database, in order of opening."""

    def __init__(self, connections: Collection[LabConnection]) -> None:
        self._connections = connections

    @property
    def awaited(self) -> bool:
        """See `lab.engine.ports.Messages`."""
        return any(each.may_be_notified for each in self._connections)

    async def bring(self) -> bool:
        """See `lab.engine.ports.Messages`. A connection that is lost brings nothing; who uses it learns of the loss."""
        asked = [each for each in self._connections if each.may_be_notified]
        for connection in asked:
            with contextlib.suppress(*LOST):
                await connection.execute(_ASK)
        brought = [connection.hand_on() for connection in asked]  # all of them
        return any(brought)
