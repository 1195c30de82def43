"""Under which conditions a scenario is run, and what the task of an actor runs."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from lab.checkers import Need, needed
from lab.explore.asgi.served import Served
from lab.model.remedy import Remedy
from lab.postgres.locks.remedy_locks import Locking
from lab.scenario.databases import metadata_of
from lab.scenario.declare import ActorDeclaration, Scenario

__all__ = ["AS_IT_STANDS", "STEP_LIMIT", "Conditions", "body"]

STEP_LIMIT = 2000
"""Steps after which an execution counts as endless; the shipped scenarios need at most some sixty."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a scenario is run, where that is not the scenario's own business."""

    isolation: str | None = None
    """Overrides the level of every transaction."""
    step_limit: int = STEP_LIMIT
    breakpoints: bool = True
    faults: bool = True
    """Whether those strike that the scenario is to withstand."""
    actors: Collection[str] | None = None
    """Those that take part, None for all. Invariants are skipped when only some actors run."""
    checks: tuple[str, ...] = ()
    """Asked for beside the scenario's own invariants; see `lab.checkers`."""
    recorded: bool = False
    """Record the history: who read and wrote which version of which row."""
    starts: bool = False
    """That an actor begins is a decision. A replay does as its schedule says."""
    drawn: bool = False
    """The scenario's parameters are one example of many, which may be taken to be alike."""
    remedy: Remedy | None = None
    """What is done as well, to see whether it helps."""
    origins: bool = False
    """Note which line of the user's code causes each step, for a report."""

    @property
    def records(self) -> bool:
        """Whether the history is needed."""
        return self.recorded or self.judges_history

    @property
    def judges_history(self) -> bool:
        """Whether a check that was asked for judges by the history."""
        return Need.HISTORY in needed(self.checks)

    @property
    def level(self) -> str | None:
        """The level of every transaction where it is not the actors' own; a remedy's wins."""
        return (self.remedy and self.remedy.isolation) or self.isolation

    def pauses(self, scenario: Scenario) -> bool:
        """Whether statements are paused between two rows, where they can be."""
        return self.breakpoints and scenario.breakpoints

    def dump(self) -> dict[str, Any]:
        """As values that JSON can hold, for another process. Remedies are tried in this one."""
        assert self.remedy is None
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {"actors": None if self.actors is None else list(self.actors)}

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Self:
        """From what `dump` made, as JSON has it."""
        return cls(**{**values, "checks": tuple(values["checks"])})

    def locking(self, cls: type[Scenario]) -> Locking | None:
        """The locks of the remedy, for one execution."""
        return None if self.remedy is None else Locking(self.remedy, metadata_of(cls))

    def of(self, declarations: Iterable[ActorDeclaration]) -> tuple[ActorDeclaration, ...]:
        """The actors that take part, as they are declared; those of a sequence begin in its order."""
        taken = [each for each in declarations if self.actors is None or each.name in self.actors]
        if isinstance(self.actors, Sequence):
            taken.sort(key=lambda each: tuple(self.actors or ()).index(each.name))
        return tuple(taken)


AS_IT_STANDS = Conditions()


async def body(
    engine: AsyncEngine, scenario: Scenario, actor: ActorDeclaration, served: Served | None = None
) -> object:
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
            elif name == "client":
                assert served is not None, "validation sees to it"
                client = await stack.enter_async_context(served.client((*scenario.allows, *actor.allows)))
                given[name], method = client, client.judging(method)
            else:
                given[name] = engine if name == "engine" else actor.name
        return await method(**given)
