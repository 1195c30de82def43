"""Runs a transaction again when the server refused it: what every application at a higher isolation level needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["ATTEMPTS", "is_retryable", "retried"]

ATTEMPTS = 5
RETRYABLE = ("40001", "40P01")
"""Serialization failure and deadlock: the server says that the same transaction may succeed next time."""

Result = TypeVar("Result")


def is_retryable(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed when it is run again."""
    return getattr(error.orig, "sqlstate", None) in RETRYABLE


async def retried(session: AsyncSession, work: Callable[[], Awaitable[Result]]) -> Result:
    """What `work` returns from a transaction that committed; the whole of it runs again after a refusal."""
    for _ in range(ATTEMPTS - 1):
        try:
            async with session.begin():
                return await work()
        except DBAPIError as error:
            if not is_retryable(error):
                raise
    async with session.begin():
        return await work()
