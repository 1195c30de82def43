"""Connections of the lab's own: what it resets, asks and reads with. The engine does not see them."""

from __future__ import annotations

from typing import Any

import asyncpg

from lab.errors import ServerError
from lab.postgres.server.server import Server

__all__ = ["LOST", "Monitor", "connect"]

LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The errors that a dying server causes here. The last one: the server's FATAL message arrived before our next
query."""
CONNECT_SECONDS = 10.0
"""How long a server given by URL may take to answer at all."""


class Monitor:
    """A connection of the lab's own, which can be opened again after a crash. Otherwise it is an asyncpg connection."""

    def __init__(self, server: Server, connection: asyncpg.Connection, options: dict[str, Any]) -> None:
        self._server = server
        self._connection = connection
        self._options = options

    @classmethod
    async def open(cls, server: Server, **options: Any) -> Monitor:
        """Connect. Raises `ServerError`."""
        return cls(server, await connect(server, **options), options)

    async def reopen(self) -> None:
        """Connect anew. Raises `ServerError`."""
        self._connection.terminate()
        self._connection = await connect(self._server, **self._options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def connect(server: Server, **options: Any) -> asyncpg.Connection:
    """A connection of the lab's own. Raises `ServerError` with one sentence."""
    try:
        return await asyncpg.connect(**{**server.connect, "timeout": CONNECT_SECONDS, **options})
    except (*LOST, TimeoutError, ValueError, TypeError) as error:
        said = server.cleaned(str(error)).strip().splitlines()
        reason = said[0] if said else type(error).__name__
        raise ServerError(f"cannot connect to {server.description}: {reason}") from None
