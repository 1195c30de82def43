"""Sends the requests of a file once, in turn, to an application that was started for them, and records them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from sqlalchemy import Connection, Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine

from lab.errors import ScenarioError
from lab.explore.asgi.lifespan import Lifespan
from lab.explore.invariants import bounded
from lab.search.races.files.asked import BASE_URL, Asked
from lab.search.races.files.told import Told
from lab.search.races.recording import Recorder
from lab.search.races.sent import Recording, Request

__all__ = ["NotStarted", "Sending", "engines_disposed"]


class NotStarted(ScenarioError):
    """The application does not start."""


@dataclass(slots=True)
class Sending:
    """What is sent to one application. `lifespan`: it is started before, and stopped at the end."""

    app: Any
    asked: tuple[Asked, ...]
    lifespan: bool
    others: list[str] = field(default_factory=list)
    """Requests that were answered otherwise than in the recording, one sentence each."""

    async def run(self, recorder: Recorder, name: str, progress: Callable[[int], None]) -> Recording:
        """Send all; `progress` is called with how many were. Raises `ScenarioError` for one that never ends."""
        with recorder.test(name) as recording:
            recording.kind = "file"
            recording.lifespan = self.lifespan
            async with self._started() as application:
                transport = httpx.ASGITransport(application)
                async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, trust_env=False) as client:
                    told = Told()
                    for number, each in enumerate(self.asked, 1):
                        await self._send(client, told.renewed(each), recording, told)
                        progress(number)
        recording.sent[:] = [replace(each, app=self.app) for each in recording.sent]
        return recording

    async def _send(self, client: httpx.AsyncClient, asked: Asked, recording: Recording, told: Told) -> None:
        request = client.build_request(asked.method, asked.url, headers=list(asked.headers), content=asked.content)

        async def send() -> None:
            try:
                answer = await client.send(request)
            except Exception:  # noqa: BLE001 - of the application; the recording has it, as an answer of 500
                return
            told.learn(asked, answer.text)

        title = f"{asked.method} {request.url.raw_path.decode()}"
        await bounded(send, f"the answer to {title}, {asked.place},", "step")
        sent = recording.sent[-1]
        assert isinstance(sent, Request), "nothing else is sent through a client"
        if asked.status is not None and sent.status != asked.status:
            error = f" ({sent.error})" if sent.error else ""
            self.others.append(f"{asked.place}: {title} answers {sent.status}{error}, and {asked.status} in the file")

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[Any]:
        if not self.lifespan:
            yield self.app
            return
        lifespan = Lifespan(self.app)
        try:
            await bounded(lifespan.start, "the start of the application", "setup")
        except ScenarioError as error:
            lifespan.abandon()
            raise NotStarted(f"{error}; --no-lifespan leaves its start out") from error
        except BaseException:
            lifespan.abandon()
            raise
        try:
            yield _WithState(self.app, lifespan.state)
        finally:
            try:
                await bounded(lifespan.stop, "the end of the application", "setup")
            except BaseException:
                lifespan.abandon()
                raise


@asynccontextmanager
async def engines_disposed() -> AsyncIterator[Callable[[], None]]:
    """At the end of the block, engines that connected in it keep no connection: it leads where others are not to go.

    What the block is given forgets the connections until now: those of an event loop that is over cannot be closed.
    """
    connected: dict[int, Engine] = {}

    def note(connection: Connection) -> None:
        connected[id(connection.engine)] = connection.engine

    def forget() -> None:
        for each in connected.values():
            each.dispose(close=False)

    event.listen(Engine, "engine_connect", note)
    try:
        yield forget
    finally:
        event.remove(Engine, "engine_connect", note)
        for each in connected.values():
            if each.dialect.is_async:
                await AsyncEngine(each).dispose()
            else:
                each.dispose()


@dataclass(frozen=True, slots=True)
class _WithState:
    """An application whose requests have what its lifespan left for them."""

    app: Any
    state: dict[str, Any]

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await self.app({**scope, "state": self.state.copy()}, receive, send)
