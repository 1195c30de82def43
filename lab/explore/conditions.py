"""Under which conditions a scenario is run, and what the task of an actor runs."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from lab.checkers import Need, needed, refuse_unknown_checks
from lab.engine.faults import FAULTS, refuse_wrong_faults, survived, with_brought
from lab.engine.plan import Body, Plan
from lab.explore.asgi.served import Served
from lab.model.decision import Strike
from lab.model.remedy import Remedy
from lab.postgres.locks.remedy_locks import Locking
from lab.scenario.checks import refuse_too_many_orders
from lab.scenario.databases import metadata_of
from lab.scenario.declare import ActorDeclaration, Scenario, actors_of
from lab.scenario.validation import validate
from lab.schedulers import Scheduler

__all__ = ["AS_IT_STANDS", "STEP_LIMIT", "Conditions", "body"]

STEP_LIMIT = 2000
"""Steps after which an execution counts as endless; the shipped scenarios need at most some sixty."""


_TUPLES = ("checks", "added_faults")
"""Fields that JSON has as arrays."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a scenario is run, where that is not the scenario's own business."""

    isolation: str | None = None
    """Overrides the level of every transaction."""
    step_limit: int = STEP_LIMIT
    breakpoints: bool = True
    faults: bool = True
    """Whether any strike that were asked for."""
    added_faults: tuple[str, ...] = ()
    """Those that may strike beside the ones that the scenario lists."""
    faults_at_most: int | None = None
    """How many may strike in an execution; None: as many as the scenario says."""
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
    def asks_serial_runs(self) -> bool:
        """Whether a check that was asked for judges by serial runs."""
        return Need.SERIAL_RUNS in needed(self.checks)

    @property
    def level(self) -> str | None:
        """The level of every transaction where it is not the actors' own; a remedy's wins."""
        return (self.remedy and self.remedy.isolation) or self.isolation

    def pauses(self, scenario: Scenario) -> bool:
        """Whether statements are paused between two rows, where they can be."""
        return self.breakpoints and scenario.breakpoints

    def refuse_wrong(self, scenario: Scenario, scheduler: Scheduler) -> None:
        """Raise `ScenarioError` or `UsageError` where the scenario cannot be run like this."""
        cls = type(scenario)
        validate(cls)
        refuse_wrong_faults(cls, self.added_faults, [each.fault for each in scheduler.faults])
        refuse_unknown_checks(self.checks)
        refuse_too_many_orders(cls, asked=self.asks_serial_runs)

    def may_strike(self, scenario: Scenario | type[Scenario], replayed: Sequence[Strike] = ()) -> tuple[str, ...]:
        """The faults that may strike, by name: of the scenario, of those who asked, of a schedule that is repeated."""
        if not self.faults:
            return ()
        survives = self._survived(scenario)
        more = [each.fault for each in replayed if each.fault not in survives.get(each.actor, ())]
        return with_brought((*scenario.faults, *self.added_faults, *more))

    def crashes(self, scenario: Scenario, replayed: Sequence[Strike] = ()) -> str:
        """A fault that may strike and needs a server that nobody else is at work on; "" if there is none."""
        return next((name for name in self.may_strike(scenario, replayed) if FAULTS[name].needs_own_server), "")

    def most_faults(self, scenario: Scenario | type[Scenario], replayed: Sequence[Strike] = ()) -> int:
        """How many may strike in an execution."""
        asked = scenario.faults_at_most if self.faults_at_most is None else self.faults_at_most
        return max(asked, len(replayed))

    def plan(self, scenario: Scenario, bodies: Mapping[str, Body], scheduler: Scheduler) -> Plan:
        """What the engine is asked to run."""
        return Plan(
            bodies,
            self.step_limit,
            self.may_strike(scenario, scheduler.faults),
            scenario.faults_at_least if self.faults else 0,
            self.most_faults(scenario, scheduler.faults),
            self._survived(scenario),
            self.starts if scheduler.starts is None else scheduler.starts,
            scenario.points == "all",
            origins=self.origins,
        )

    def _survived(self, scenario: Scenario | type[Scenario]) -> dict[str, tuple[str, ...]]:
        """The faults that strike an actor unasked, since it says that it survives them."""
        cls = scenario if isinstance(scenario, type) else type(scenario)
        actors = self.of(actors_of(cls)) if self.faults else ()
        return {each.name: survived(each) for each in actors if each.survives}

    def dump(self) -> dict[str, Any]:
        """As values that JSON can hold, for another process. Remedies are tried in this one."""
        assert self.remedy is None
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {"actors": None if self.actors is None else list(self.actors)}

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Self:
        """From what `dump` made, as JSON has it."""
        more = {name: tuple(values.get(name, ())) for name in _TUPLES}
        return cls(**{**values, **more})

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
