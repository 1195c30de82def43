"""Under which conditions a scenario is run, and what the task of an actor runs."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from lab.scenario import ActorDeclaration, Scenario

__all__ = ["STEP_LIMIT", "Conditions", "body"]

STEP_LIMIT = 2000
"""Steps after which an execution counts as endless; the shipped scenarios need at most some sixty."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a scenario is run, where that is not the scenario's own business."""

    isolation: str | None = None
    """Overrides the level of every transaction."""
    step_limit: int = STEP_LIMIT
    breakpoints: bool = True
    actors: Collection[str] | None = None
    """Those that take part, None for all. Invariants are for all of them, so without some none is asked."""
    checks: tuple[str, ...] = ()
    """Asked for beside the scenario's own invariants; see `lab.checks`."""
    recorded: bool = False
    """Record the history: who read and wrote which version of which row."""

    def of(self, declarations: Iterable[ActorDeclaration]) -> tuple[ActorDeclaration, ...]:
        """The actors that take part, as they are declared; those of a sequence begin in its order."""
        taken = [each for each in declarations if self.actors is None or each.name in self.actors]
        if isinstance(self.actors, Sequence):
            taken.sort(key=lambda each: tuple(self.actors or ()).index(each.name))
        return tuple(taken)


async def body(engine: AsyncEngine, scenario: Scenario, actor: ActorDeclaration) -> object:
    """What an actor's task runs: its method, with what its parameters ask for."""
    method: Callable[..., Awaitable[object]] = getattr(scenario, actor.attribute)
    async with contextlib.AsyncExitStack() as stack:
        given: dict[str, object] = {}
        for name in actor.wants:
            if name == "session":
                given[name] = await stack.enter_async_context(AsyncSession(engine, **scenario.session_options))
            elif name == "connection":
                given[name] = await stack.enter_async_context(engine.connect())
            elif name == "sessions":
                given[name] = async_sessionmaker(engine, **scenario.session_options)
            else:
                given[name] = engine if name == "engine" else actor.name
        return await method(**given)
