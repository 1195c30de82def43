"""An application that is up, for those who ask it: an actor, a setup, an invariant."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Any

from lab.scenario.declare import Allowed, Scenario
from lab.scenario.http import Application, statuses_in

if TYPE_CHECKING:
    from lab.explore.asgi.client import Client

__all__ = ["Served", "asking"]


class Served:
    """An application that can be asked. `state` is what its lifespan left for its requests."""

    def __init__(self, application: Application, state: dict[str, Any]) -> None:
        self._application, self._state = application, state
        self.unsearched: dict[str, None] = {}
        """What could have been done in another order, but is not, as `ExecutionRecord.unsearched` says it."""

    def client(self, allows: tuple[Allowed, ...]) -> Client:
        """A new client, with what a scenario or an actor allows beside the application's own."""
        from lab.explore.asgi.client import Client  # noqa: PLC0415 - httpx is an extra

        statuses = statuses_in((*self._application.allows, *allows))
        return Client(self._application.app, self._state, statuses, self.unsearched)


@contextlib.asynccontextmanager
async def asking(served: Served | None, scenario: Scenario, wants: Collection[str]) -> AsyncIterator[dict[str, object]]:
    """The client of a setup, or of the invariants, by its name; nothing where none is wanted."""
    if served is None or "client" not in wants:
        yield {}
        return
    async with served.client(scenario.allows) as client:
        yield {"client": client}
