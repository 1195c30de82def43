"""The server refuses an operation with an error that a fault chose: it is asked to raise it instead."""

from __future__ import annotations

from typing import Any

import asyncpg

from lab.engine.refused import Refused
from lab.postgres.connections.points import ends_of

__all__ = ["refuse"]

_RAISE = "DO $lab$ BEGIN RAISE EXCEPTION USING ERRCODE = '{}', MESSAGE = '{}'; END $lab$"


async def refuse(protocol: Any, refused: Refused, operation: tuple[Any, ...]) -> None:
    """Raise what asyncpg raises for this error; `operation` holds what was to be sent, and is not sent.

    A transaction that was to end has ended after that, as after a COMMIT that the server refused.
    """
    try:
        await protocol.query(_RAISE.format(refused.sqlstate, refused.message), None)
    except asyncpg.PostgresError as error:
        error.context = None  # it would show the lab's own block
        if operation and isinstance(operation[0], str) and ends_of(operation[0]) is not None:
            await protocol.query("ROLLBACK", None)
        raise
