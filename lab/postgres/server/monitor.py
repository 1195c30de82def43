"""Connections of the lab's own: what it resets, asks and reads with. The engine does not see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from lab.errors import ServerError
from lab.postgres.server.server import Server

__all__ = ["LOST", "POOLER", "Monitor", "OwnConnection", "connect"]

LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The errors that a dying server causes here. The last one: the server's FATAL message arrived before our next
query."""
POOLER = (
    "{} is a connection pooler, or lies behind one: sessions there are not the lab's own, and it cannot find out who "
    "waits for whom; give the URL of the server itself"
)
LATEST = "transaction_timeout"
"""A setting that the first connection asks for though the server may be too old to know it; its version is not known
yet, and the setting may be what ends the session that asks."""
CONNECT_SECONDS = 10.0
"""How long a server given by URL may take to answer at all."""


class OwnConnection(asyncpg.Connection):  # type: ignore[misc]
    """One of the lab's own. It leads where it says, also while those of others are led elsewhere."""


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
        return await _connect(**{**server.connect, "timeout": CONNECT_SECONDS, **options})
    except (*LOST, TimeoutError, ValueError, TypeError) as error:
        if "startup parameter" in str(error):  # no server refuses one in these words
            raise ServerError(POOLER.format(server.description)) from None
        said = server.cleaned(str(error)).strip().splitlines()
        reason = said[0] if said else type(error).__name__
        raise ServerError(f"cannot connect to {server.description}: {reason}") from None


async def _connect(*, server_settings: Mapping[str, str] | None = None, **options: Any) -> asyncpg.Connection:
    server_settings = server_settings or {}
    try:
        return await asyncpg.connect(connection_class=OwnConnection, server_settings=server_settings, **options)
    except asyncpg.UndefinedObjectError as error:
        known = {name: value for name, value in server_settings.items() if f'"{name}"' not in str(error)}
        if server_settings.keys() - known.keys() != {LATEST}:
            raise
    return await asyncpg.connect(connection_class=OwnConnection, server_settings=known, **options)
