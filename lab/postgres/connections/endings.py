"""Ends what an execution left in sessions, and lets clients learn that theirs was ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from lab.postgres.connections.connection import LabConnection
from lab.postgres.server.monitor import LOST

__all__ = ["forget", "learned"]


async def forget(connection: LabConnection, *, tidy: bool = False) -> None:
    """Clear a session's state; one that cannot be cleared any more, whatever an actor did to it, is given up.

    `tidy`: all that was sent left its session as it found it.
    """
    try:
        await connection.forget_session_state(tidy=tidy)
    except LOST:
        connection.terminate()


async def learned(connections: Iterable[LabConnection]) -> None:
    """Return when the clients of ended backends know: what an actor meets next must not depend on how fast that is."""
    for connection in connections:
        if not connection.is_closed():
            known = asyncio.Event()
            connection.add_termination_listener(lambda _, known=known: known.set())
            await known.wait()
