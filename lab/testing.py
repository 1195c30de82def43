"""What the `lab` fixture gives to a test: checks of scenarios, on one server for the whole run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from lab.errors import UncontrolledError, UsageError, Violation
from lab.explore import Conditions, Explorer
from lab.model.outcome import Ending
from lab.model.record import ExecutionRecord, Failure
from lab.model.replay_token import ReplayToken, encode, scenario_of, token_of
from lab.model.shown import shown
from lab.model.starts import Starts
from lab.model.trace import Trace
from lab.report.failure import failure_report
from lab.scenario.declare import Scenario, parameters_of, target_of
from lab.schedulers import DEFAULT, Scheduler, make_scheduler
from lab.schedulers.replay import Replay
from lab.search.hunt import Hunt
from lab.shrink.refine import refined

__all__ = ["Lab"]

SERIAL_RUNS_KEPT = 200
"""Serial runs of scenarios with different data, for schedulers that measure; Hypothesis makes some 100 examples."""


class Lab:
    """Checks scenarios in tests. Made by the pytest plugin; `explorer` belongs to the test's event loop.

    Not a dataclass: Hypothesis prints those with all their fields beside each failing example.
    """

    def __init__(self, explorer: Explorer, *, isolation: str | None = None, replay: ReplayToken | None = None) -> None:
        self.explorer = explorer
        self.isolation = isolation
        self.replay = replay
        self._found: dict[tuple[str, str], ExecutionRecord] = {}
        self._serial: dict[str, Trace] = {}
        self._starts: dict[type[Scenario], bool] = {}

    def __repr__(self) -> str:
        return "lab"

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
        invariants. With `--lab-replay`, the scenario of the token is run
        under the schedule of the token instead, whatever is passed here.
        """
        __tracebackhide__ = True
        level = self.isolation or isolation
        if self.replay is not None and self.replay.target == target_of(scenario):
            scenario = scenario_of(self.replay, type(scenario))
            schedule = Replay(self.replay.schedule)
            level = self.replay.isolation or level
        conditions = Conditions(level, checks=tuple(checks), drawn=True)
        if schedule is None:
            schedule = make_scheduler("serial", 0)
        elif schedule.starts is None:
            conditions = replace(conditions, starts=await self._starts_matter(scenario, conditions))
        if not schedule.calibrated:
            await self._calibrate(scenario, schedule, Conditions(level, starts=conditions.starts, drawn=True))
        record = await self._run(scenario, schedule, conditions)
        if record.failed and not schedule.exhausted:
            raise Violation(await self._report(record, conditions, minimised=schedule.final))
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
        Raises `Violation` with the minimised report at the first violation.
        """
        hunt = Hunt.of(
            scenario,
            scheduler=scheduler,
            executions=executions,
            seed=seed,
            options=options,
            conditions=Conditions(self.isolation or isolation, checks=tuple(checks)),
        )
        result = await hunt.run(self.explorer)
        if result.failures:
            raise Violation(shown(result.failures[0].report))
        if result.reason:
            raise UsageError(f"the hunt of {result.target} is inconclusive: {result.reason}")
        return result.executions

    @contextlib.contextmanager
    def watch(self, *engines: AsyncEngine) -> Iterator[None]:
        """Let actors use an application's own engines: for the block, they lead to the lab's database."""
        with self.explorer.watching(*engines):
            yield

    async def _starts_matter(self, scenario: Scenario, conditions: Conditions) -> bool:
        """Whether that an actor begins is a decision. Found out once for a class, so that all its examples agree."""
        if type(scenario) not in self._starts:
            self._starts[type(scenario)] = await self.explorer.starts(scenario, conditions) is Starts.DECIDED
        return self._starts[type(scenario)]

    async def _calibrate(self, scenario: Scenario, scheduler: Scheduler, conditions: Conditions) -> None:
        """Show a scheduler the serial run of a scenario that it wants to see first; each is run once."""
        key = repr((type(scenario), parameters_of(scenario), conditions))
        if key in self._serial and scheduler.begin(0):
            scheduler.end(self._serial[key])
            return
        while len(self._serial) >= SERIAL_RUNS_KEPT:
            del self._serial[next(iter(self._serial))]
        self._serial[key] = (await self.explorer.run(scenario, scheduler, conditions)).trace

    async def _run(self, scenario: Scenario, scheduler: Scheduler, conditions: Conditions) -> ExecutionRecord:
        record = await self.explorer.run(scenario, scheduler, conditions, recorded=True)
        if record.outcome.ending is Ending.STEP_LIMIT:
            raise UsageError(f"{target_of(scenario)} did not end within the step limit; is there an endless loop?")
        return record

    async def _report(self, record: ExecutionRecord, conditions: Conditions, *, minimised: bool) -> str:
        """The failure message. `found` is the first failing execution of this scenario, before Hypothesis shrank it."""
        key = target_of(record.scenario), record.findings[0].name
        found = self._found.setdefault(key, record)
        token = token_of(record, conditions.isolation or "")
        failure = Failure(record, encode(token), found)
        if minimised:
            async for smaller in refined(self.explorer, failure, conditions):
                failure = smaller
        return failure_report(failure, replay_hint="pytest … --lab-replay=TOKEN   or   lab replay")
