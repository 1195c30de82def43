"""A recorded pair as a scenario: nobody wrote its class, and no more of it is made up than was recorded."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from lab.errors import ScenarioError, first_line
from lab.scenario.declare import Scenario, actor
from lab.scenario.http import http
from lab.scenario.stated import NoDeadlock
from lab.search.races.overrides import Ways
from lab.search.races.pairs import Pair
from lab.search.races.sent import Errors, Sent

__all__ = ["MODULE", "Stage"]

MODULE = "lab.races"
"""Stands for the module of a class that stands in none."""

Hook = Callable[[AsyncConnection], Awaitable[None]]


@dataclass(slots=True)
class Stage:
    """Makes scenarios of pairs. Those whose tables are defined alike share a hook, and so a database."""

    _hooks: dict[str, Hook] = field(default_factory=dict)
    _known: dict[tuple[object, ...], Scenario] = field(default_factory=dict)
    """By the identity of requests, which belong to recordings: what is learnt of a scenario is learnt once."""

    def scenario(self, pair: Pair, way: Ways = Ways.OWN, allows: tuple[int, ...] = ()) -> Scenario:
        """The scenario of a pair; its actors are called as `pair.names` says.

        `way`: in place of shared sessions; `allows`: statuses from 500 on that are answers like others, and with them
        all errors of calls.
        """
        assert pair.first.state is not None, "such a pair is skipped"
        key = (id(pair.first), id(pair.second), *map(id, pair.between), way, allows, pair.lifespan)
        if key not in self._known:
            self._known[key] = self._scenario(pair, way, allows, number=len(self._known) + 1)
        return self._known[key]

    def _scenario(self, pair: Pair, way: Ways, allows: tuple[int, ...], number: int) -> Scenario:
        assert pair.first.state is not None
        body: dict[str, Any] = {
            "schema": staticmethod(self._hook(pair.first.state.definition)),
            "setup": _setup(pair, way),
            "nobody_waits_in_a_circle": NoDeadlock(""),  # stated at no line of the user's
            "__module__": MODULE,
            "__qualname__": f"Race{number}",
            "__doc__": f"{pair.title}, from {pair.first.test}.",
        }
        if pair.app is not None:
            body["app"] = http(pair.app, lifespan="execution" if pair.lifespan else None, allows=allows)
        errors = Errors.ALL if allows else Errors.DOMAIN
        for name, sent in zip(pair.names, pair.both, strict=True):
            body[f"sends_{name}"] = actor(names=(name,), allows=sent.ALLOWS)(_sends(sent, way, errors))
        cls: type[Scenario] = dataclass(frozen=True)(type("Race", (Scenario,), body))
        return cls()

    def _hook(self, definition: str) -> Hook:
        if definition not in self._hooks:

            async def schema(connection: AsyncConnection) -> None:
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                await driver.execute(definition)
                await driver.execute("RESET check_function_bodies")

            self._hooks[definition] = schema
        return self._hooks[definition]


def _setup(pair: Pair, way: Ways) -> Callable[..., Awaitable[None]]:
    state = pair.first.state
    assert state is not None

    async def setup(self: Scenario, session: AsyncSession, **given: Any) -> None:
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute(state.script)
        await driver.execute("RESET session_replication_role")
        await session.commit()
        for each in pair.between:
            try:
                await each.again(way, Errors.NONE, engine=session.bind, **given)
            except Exception as error:
                if not each.refused:
                    raise ScenarioError(f"{each.title}, which comes before, failed: {first_line(error)}") from error

    return _asking(setup, ("session",) if pair.app is None else ("session", "client"))


def _sends(sent: Sent, way: Ways, errors: Errors) -> Callable[..., Awaitable[object]]:
    what = [sent]  # a list: what lies behind it may change, for all that is known (`lab.explore.shared_state`)

    async def sends(self: Scenario, **given: Any) -> object:
        return await what[0].again(way, errors, **given)

    return _asking(sends, sent.WANTS)


def _asking(body: Callable[..., Awaitable[Any]], wants: Sequence[str]) -> Callable[..., Awaitable[Any]]:
    """A method that says by its parameters what it needs."""
    parameters = [inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD) for each in ("self", *wants)]
    body.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return body
