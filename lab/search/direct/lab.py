"""What the `lab` fixture gives to a test: checks, hunts and races of scenarios, on one server for the whole run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

import lab as names
from lab.engine.gate import point
from lab.errors import ScenarioError, UncontrolledError, UsageError
from lab.explore import Conditions
from lab.model.record import ExecutionRecord
from lab.model.replay_token import decode
from lab.scenario.declare import Scenario, target_of
from lab.scenario.race import Place, caller, race_of
from lab.schedulers import DEFAULT, Scheduler, make_scheduler
from lab.schedulers.drawn import schedules
from lab.search.direct.how import How, parted
from lab.search.direct.ledger import RaceRecord
from lab.search.direct.pins import replays
from lab.search.direct.runs import Runs

__all__ = ["Lab", "current"]

current: ContextVar[Lab | None] = ContextVar("current", default=None)
"""The lab at whose request a function runs that may race without one, while `lab replay` calls it."""


class Lab(Runs):
    """Checks scenarios in tests. Made by the pytest plugin.

    Not a dataclass: Hypothesis prints those with all their fields beside each failing example.
    """

    point = staticmethod(point)
    schedules = staticmethod(schedules)
    replays = staticmethod(replays)

    def __repr__(self) -> str:
        return "lab"

    if not TYPE_CHECKING:  # a type checker is to object to names that are not there

        def __getattr__(self, name: str) -> object:
            """The package's own names, since the fixture stands where the package would: `lab.Scenario`."""
            if name in names.__all__:
                return getattr(names, name)
            raise AttributeError(f"neither the fixture `lab` nor the package has {name!r}")

    async def check(
        self,
        scenario: Scenario,
        schedule: Scheduler | None = None,
        *,
        isolation: str | None = None,
        checks: Sequence[str] = (),
    ) -> ExecutionRecord:
        """Run one execution and raise `Violation`, with the whole report, if it broke an invariant.

        `schedule` is what `lab.schedules()` drew, any other scheduler, or None for a serial run. `isolation` overrides
        the scenario's level; `--lab-isolation` overrides both. `checks=("serial",)` asks for more than the scenario's
        invariants. With `--lab-replay` or `@replays`, the scenario of the token is run under the schedule of the token
        instead, whatever is passed here.
        """
        __tracebackhide__ = True
        conditions = Conditions(self.isolation or isolation, checks=tuple(checks), drawn=True)
        if (token := self.token(scenario)) is not None:
            return await self.replayed(scenario, token, conditions)
        if schedule is None:
            schedule = make_scheduler("serial", 0)
        elif schedule.starts is None:
            conditions = replace(conditions, starts=await self.starts_matter(scenario, conditions))
        if not schedule.calibrated:
            await self.calibrate(scenario, schedule, replace(conditions, checks=()))
        record = await self.run(scenario, schedule, conditions)
        self.ledger.checked(target_of(scenario), failed=record.failed)
        if record.failed and not schedule.exhausted:
            await self.object_to(record, conditions, minimised=schedule.final)
        if reason := record.unsteady or next(iter(record.not_checked), ""):
            raise UncontrolledError(reason)
        return record

    async def hunt(
        self,
        scenario: Scenario,
        *,
        scheduler: str = DEFAULT,
        executions: int = 200,
        seed: int = 0,
        isolation: str | None = None,
        checks: Sequence[str] = (),
        **options: int,
    ) -> int:
        """Check a scenario under many schedules of one scheduler; returns the number of executions.

        `options` are the scheduler's, as in `lab.hunt(scenario, scheduler="pct", depth=2)`.
        Raises `Violation` with the minimised report at the first violation. With `--lab-replay` or `@replays`, the
        token's execution is the only one.
        """
        __tracebackhide__ = True
        conditions = Conditions(self.isolation or isolation, checks=tuple(checks))
        if (token := self.token(scenario)) is not None:
            await self.replayed(scenario, token, conditions)
            return 1
        searched = await self.search(scenario, scheduler, executions, seed, options, conditions)
        return searched.executions

    def race(self, *actors: Callable[..., Awaitable[object]], **how: Unpack[How]) -> Coroutine[Any, Any, RaceRecord]:
        """Race coroutine functions, and raise `Violation` with the minimised report if an order breaks something.

            await lab.race(buy, buy, setup=one_left, holds=nothing_is_sold_twice)

        The actors ask by parameter name for what those of a scenario may ask for, or for nothing: `session`,
        `sessions`, `connection`, `engine`, `name`. `setup` fills the tables. `holds`, one function or several, asserts
        what must hold afterwards, or returns False; without it some serial order must give the same results and rows.
        `metadata` are the tables (default: those of the models that the functions' modules have in sight), `watch` the
        application's engines; `executions`, `scheduler` and `seed` are of the search, `replay` is a token of this race.
        Each class attribute of a `Scenario` is a keyword as well.
        """
        return self.race_from(caller(2), actors, how)

    def race_from(
        self, place: Place, actors: Sequence[Callable[..., Awaitable[object]]], how: How
    ) -> Coroutine[Any, Any, RaceRecord]:
        """The same, called somewhere else."""
        of_the_scenario, of_the_search = parted(how)
        return self._race(race_of(place.names, actors, **of_the_scenario), place.site, **of_the_search)

    async def _race(
        self,
        scenario: Scenario,
        site: tuple[int, int],
        *,
        executions: int = 200,
        scheduler: str = DEFAULT,
        seed: int = 0,
        replay: str = "",
    ) -> RaceRecord:
        __tracebackhide__ = True
        target = target_of(scenario)
        if self.met.get(target, site) != site:
            raise ScenarioError(f"there are two races {target}, so a token could be of either; race in two functions")
        token = self.token(scenario, site)
        if replay:
            token = decode(replay)
            if token.target != target:
                raise UsageError(f"the token is of {token.target}, and this race is {target}")
        conditions = Conditions(self.isolation)
        if token is None:
            return await self.search(scenario, scheduler, executions, seed, {}, conditions)
        record = await self.replayed(scenario, token, conditions)
        text = f"pass: {target}: the execution of the token breaks nothing"
        return RaceRecord(target, 1, 1, complete=False, outcomes={record.outcome.digest(): 1}, text=text)
