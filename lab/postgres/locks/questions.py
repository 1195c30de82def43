"""Questions about the sessions of actors, asked over the lab's own connection while all of them are at rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from lab.engine.watchdog import bounds
from lab.errors import UncontrolledError
from lab.postgres.server.monitor import Monitor

__all__ = ["answer"]


async def answer(monitor: Monitor, query: str, pids: Sequence[int], what: str) -> Any:
    """The server's answer. Raises `UncontrolledError` when it does not come, since the question itself waits."""
    seconds = bounds().step
    try:
        async with asyncio.timeout(seconds):
            return await monitor.fetch(query, pids)
    except TimeoutError:
        raise UncontrolledError(
            f"the server did not say within {seconds:g} s (--step-seconds) {what}: an actor holds a lock on its "
            "catalogs"
        ) from None
