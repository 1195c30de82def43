"""An application whose requests are actors, as a scenario names it. It is not called here, and httpx is not loaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from lab.errors import ScenarioError
from lab.scenario.declare import Allowed, Scenario, target_of
from lab.scenario.once import once_for_each_class

__all__ = ["Application", "application_of", "http", "statuses_in"]

LIFESPANS = ("execution", "hunt", None)
_EXAMPLE = "app = lab.http(main.app)"


@dataclass(frozen=True, slots=True, eq=False)
class Application:
    """An ASGI application in a scenario; `http` makes one."""

    app: Callable[..., Awaitable[None]]
    lifespan: str | None
    allows: tuple[Allowed, ...]


def http(
    app: Callable[..., Any], *, lifespan: str | None = "execution", allows: tuple[Allowed, ...] = ()
) -> Application:
    """An ASGI application (FastAPI, Starlette, Litestar …) whose requests are the actors of a scenario.

        app = lab.http(main.app)

        @actor
        async def alice(self, client: httpx.AsyncClient) -> object:
            return await client.post("/orders", json={"item": 1})

    Whoever has a parameter `client` gets an `httpx.AsyncClient` of its own, with cookies and headers of its own: an
    actor, the setup, an invariant. Beside what httpx offers, `client.websocket(path)` opens a websocket. The request is
    handled in the actor's own task, and is part of the actor until the application is done with it: the middleware, the
    dependencies, the work after the answer.

    The result of an actor that returns a response is the pair (status, JSON), printed as `201 {"id": 1}`; of one that
    returns nothing, it is that of the last answer.

    What the application raises goes through the client, with its traceback, and ends the actor as any other error does.
    An answer of 500 or more raises `UnexpectedAnswer` in the actor, unless its status is in `allows`, here or in the
    scenario. Where 500 is allowed, an exception of the application is that answer.

    An answer of 400 or more that the application gives because the server refused the work (40001, 40P01, 55P03, a
    stale version) is a response like any other for the code of the actor, which may try again. If it is the actor's
    last one, the actor was aborted: that is no violation, whatever the status, and a retry may cure it.

    `lifespan`: "execution" starts the application before the actors of each execution and stops it after the
    invariants, so nothing that it keeps in its state outlives an execution; "hunt" starts it once, for what is slow to
    start and keeps nothing; None never does. A setup has a start of its own.

    Raises `ScenarioError` for what cannot be used so, and without httpx.
    """
    if importlib.util.find_spec("httpx") is None:
        raise ScenarioError("lab.http needs httpx: pip install 'concurrency-lab[http]'")
    if not callable(app):
        raise ScenarioError(f"lab.http got {app!r}, which is no ASGI application; name the object, as in {_EXAMPLE}")
    if lifespan not in LIFESPANS:
        known = ", ".join(map(repr, LIFESPANS))
        raise ScenarioError(f"lab.http got lifespan={lifespan!r}; known are {known}")
    if not isinstance(allows, tuple):
        raise ScenarioError(f"lab.http got allows={allows!r}; it is a tuple, as in allows=(503,)")
    return Application(app, lifespan, allows)


@once_for_each_class
def application_of(cls: type[Scenario]) -> Application | None:
    """The application that a scenario names, None for none. Raises `ScenarioError` for more than one."""
    names = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
    found = {name: value for name in names if isinstance(value := getattr(cls, name, None), Application)}
    if len(set(map(id, found.values()))) > 1:
        raise ScenarioError(
            f"{target_of(cls)} has the applications {', '.join(found)}, and `client` can be of one only; mount them in "
            "one application, or make a scenario for each"
        )
    return next(iter(found.values()), None)


def statuses_in(allows: tuple[Allowed, ...]) -> frozenset[int]:
    """The statuses among what is allowed."""
    return frozenset(each for each in allows if isinstance(each, int))
