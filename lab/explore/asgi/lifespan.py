"""Starts and stops an ASGI application, as its server does. httpx has nothing of the kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from lab.engine.stalls import line_of_task
from lab.engine.watchdog import place_of
from lab.errors import ScenarioError, first_line

__all__ = ["Lifespan"]


class Lifespan:
    """The lifespan of one application. It has a task of its own, since what it enters it must leave in the same one."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        """What the application left for its requests."""
        self._messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._said: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises `ScenarioError` if the application does not start.

        One that raises instead of saying that it failed knows nothing of lifespans, as the specification has it.
        """
        before = asyncio.all_tasks()
        self._task = asyncio.create_task(self._live())
        said = await self._asked("startup")
        if said is None:
            _error_of(self._task)  # asked for, lest asyncio says that nobody did
            self._task = None
        elif said["type"] == "lifespan.startup.failed":
            raise await self._failed("start", said)
        elif left := [each for each in asyncio.all_tasks() - before if each is not self._task]:
            places = "; ".join(sorted(map(line_of_task, left)))
            await self.stop()
            raise ScenarioError(
                "the application started a task that goes on beside its requests, so no schedule decides what it does "
                f"when; leave it out where the lab runs, or write lab.http(app, lifespan=None): {places}"
            )

    async def stop(self) -> None:
        """Raises `ScenarioError` if the application does not stop as it should."""
        if self._task is None:
            return
        said = await self._asked("shutdown")
        if said is None or said["type"] == "lifespan.shutdown.failed":
            raise await self._failed("stop", said)
        await asyncio.wait((self._task,))
        self._task = None

    def abandon(self) -> None:
        """End it where it cannot be stopped any more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _live(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._app(scope, self._messages.get, self._said.put)

    async def _asked(self, what: str) -> dict[str, str] | None:
        """What the application says to a message; None where it ends without a word."""
        assert self._task is not None
        self._messages.put_nowait({"type": f"lifespan.{what}"})
        said = asyncio.create_task(self._said.get())
        try:
            await asyncio.wait((said, self._task), return_when=asyncio.FIRST_COMPLETED)
            return await said if said.done() or not self._said.empty() else None
        finally:
            said.cancel()

    async def _failed(self, what: str, said: dict[str, str] | None) -> ScenarioError:
        task, self._task = self._task, None
        assert task is not None
        await asyncio.wait((task,))
        raised = _error_of(task)
        lines = (said or {}).get("message", "").strip().splitlines()
        why = f"{first_line(raised)} ({place_of(raised)})" if raised else "".join(lines[-1:]) or "it does not say why"
        error = ScenarioError(f"the application did not {what}: {why}")
        error.__cause__ = raised
        return error


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() or not task.done() else task.exception()
