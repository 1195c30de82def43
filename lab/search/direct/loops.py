"""An explorer for each event loop that a test runner makes, closed when that loop is.

Connections belong to the event loop in which they were opened, and how long a loop lives is the business of whoever
runs the tests: anyio keeps one for a module, pytest-asyncio by default for one test, `unittest` for one method. The lab
neither asks nor decides. It hangs an asynchronous generator into the loop that it finds itself in; before a loop is
closed, `loop.shutdown_asyncgens()` ends these (`asyncio.Runner`, on which all of them stand, sees to that), and with it
the explorer gives its connections and databases back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from lab.errors import UsageError
from lab.explore import Explorer
from lab.postgres.server.server import Server

__all__ = ["Explorers"]


class Explorers:
    """The explorers on one server, by the event loop that each belongs to."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lives: dict[asyncio.AbstractEventLoop, tuple[AsyncGenerator[Explorer], Explorer]] = {}

    def here(self) -> Explorer:
        """The explorer of the running event loop. Raises `UsageError` where that is not asyncio's."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise UsageError(
                "the lab runs on asyncio, and no event loop of asyncio is running: for tests that use the lab, let the "
                "fixture anyio_backend return 'asyncio', not 'trio'"
            ) from None
        if loop not in self._lives:
            life = self._life(loop)
            try:
                life.asend(None).send(None)  # begins it at once: it waits for nothing
            except StopIteration as begun:
                self._lives[loop] = life, begun.value
        return self._lives[loop][1]

    async def _life(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[Explorer]:
        explorer = Explorer(self._server)
        try:
            yield explorer
        finally:
            self._lives.pop(loop, None)
            await explorer.aclose()

    async def aclose(self) -> None:
        """Close the explorer of the running loop now, if there is one."""
        if found := self._lives.get(asyncio.get_running_loop()):
            await found[0].aclose()
