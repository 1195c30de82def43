"""An error of a cancelled statement that reads as that of one whose lock_timeout was over."""

from __future__ import annotations

import asyncio

from asyncpg import LockNotAvailableError, QueryCanceledError

__all__ = ["read_as_lock_timeout"]

_TEXT = "canceling statement due to lock timeout"


def read_as_lock_timeout(error: Exception, ended: asyncio.Event) -> None:
    """Let the driver's error be the one of a lock timeout, in PostgreSQL's words, and say that the statement ended."""
    ended.set()
    if isinstance(error, QueryCanceledError):
        error.__class__ = LockNotAvailableError  # what waits for it holds this object
        error.sqlstate, error.message, error.args = LockNotAvailableError.sqlstate, _TEXT, (_TEXT,)
