"""FastAPI's dependency overrides, as a test had set them, for requests that are sent at once.

Tests often hand one session to every request: a fixture joins it into an external transaction, which is rolled back at
the end. Two requests at once cannot share a session, and the race is that of production. So an override that hands out
the same session each time is left out, and the application's own dependency opens its sessions, which lead to the lab's
database; where that does not answer as in the test, it is replaced by one that hands out a session of its own for each
request, on the same engine. All other overrides (who is logged in, what the settings are) stay as the test set them.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

__all__ = ["Ways", "applied", "asking_with", "by_request", "carrier", "shared_sessions"]

_ATTRIBUTE = "dependency_overrides"
_current: ContextVar[Mapping[Any, Any] | None] = ContextVar("lab_overrides", default=None)
"""Those of the request that is being sent."""


class Ways(StrEnum):
    """What takes the place of an override that hands out a session which the requests of a test share."""

    OWN = "the application's own dependency"
    FRESH = "a session for each request, on the engine of the test's"


def carrier(app: Any) -> Any:
    """The application that has overrides: the one that was asked, or one that it wraps; None without one."""
    for _ in range(10):
        if isinstance(getattr(app, _ATTRIBUTE, None), dict):
            return app
        if (app := getattr(app, "app", None)) is None:
            return None
    return None


async def shared_sessions(overrides: Mapping[Any, Any]) -> dict[Any, AsyncSession]:
    """The overrides that hand out one session each time, and the session. Those that take parameters are not asked."""
    found = {}
    for dependency, override in overrides.items():
        with contextlib.suppress(Exception):  # what cannot be asked is kept as it is, and shows when it is sent
            if not inspect.signature(override).parameters:
                one, other = await _handed_out(override), await _handed_out(override)
                if one is other and isinstance(one, AsyncSession):
                    found[dependency] = one
    return found


async def _handed_out(override: Callable[[], Any]) -> Any:
    made = override()
    if inspect.isasyncgen(made):
        value = await anext(made)
        if not isinstance(value, AsyncSession):
            await made.aclose()
        return value  # a session that it shares is not to be closed; one of its own was never used
    if inspect.isgenerator(made):
        return next(made)
    return await made if inspect.isawaitable(made) else made


def _fresh(session: AsyncSession) -> Callable[[], AsyncIterator[AsyncSession]]:
    """An override that hands out a session of its own, like this one, on the engine that it leads to."""
    bind: Any = session.bind or session.sync_session.get_bind()
    engine = bind if isinstance(bind, AsyncEngine) else bind.engine
    engine = AsyncEngine(engine) if isinstance(engine, Engine) else engine
    kept: dict[str, Any] = {
        "expire_on_commit": session.sync_session.expire_on_commit,
        "autoflush": session.sync_session.autoflush,
    }
    cls = type(session)

    async def fresh() -> AsyncIterator[AsyncSession]:
        async with cls(engine, **kept) as own:
            yield own

    return fresh


def applied(overrides: Mapping[Any, Any], shared: Mapping[Any, AsyncSession], way: Ways) -> dict[Any, Any]:
    """The overrides of a test for requests that are sent at once."""
    kept = {key: value for key, value in overrides.items() if key not in shared}
    return kept if way is Ways.OWN else kept | {key: _fresh(session) for key, session in shared.items()}


class _OfTheRequest(dict[Any, Any]):
    """Stands for an application's overrides, and is that of whichever request asks."""

    def __bool__(self) -> bool:
        return bool(_current.get())

    def get(self, dependency: Any, default: Any = None) -> Any:
        """What FastAPI asks for."""
        return (_current.get() or {}).get(dependency, default)


@contextlib.contextmanager
def asking_with(overrides: Mapping[Any, Any]) -> Iterator[None]:
    """Requests of the block have these overrides."""
    token = _current.set(overrides)
    try:
        yield
    finally:
        _current.reset(token)


@contextlib.contextmanager
def by_request(app: Any) -> Iterator[None]:
    """For the block, each request of this application has overrides of its own."""
    owner = carrier(app)
    if owner is None:
        yield
        return
    before = owner.dependency_overrides
    owner.dependency_overrides = _OfTheRequest()
    try:
        yield
    finally:
        owner.dependency_overrides = before
