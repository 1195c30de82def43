"""What checks, hunts and races of one test have in common: how they run, replay, object and are counted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from sqlalchemy.ext.asyncio import AsyncEngine

from lab.errors import UncontrolledError, UsageError, Violation
from lab.explore import Conditions, Explorer
from lab.model.outcome import Ending
from lab.model.record import ExecutionRecord, Failure
from lab.model.replay_token import ReplayToken, decode, encode, scenario_of, token_of
from lab.model.shown import shown
from lab.model.starts import Starts
from lab.model.trace import Trace
from lab.report.failure import failure_report
from lab.report.hunts import hunt_lines, struck_by
from lab.report.otherwise import title
from lab.scenario.declare import Scenario, invariants_of, parameters_of, target_of
from lab.schedulers import Scheduler
from lab.search.direct.follow import followed
from lab.search.direct.hints import hints
from lab.search.direct.ledger import Ledger, RaceRecord
from lab.search.direct.loops import Explorers
from lab.search.hunt import Hunt
from lab.search.job import Job
from lab.search.result import page_data
from lab.shrink.refine import refined
from lab.shrink.replays import Replays, replay_times

__all__ = ["Replayed", "Runs"]

SERIAL_RUNS_KEPT = 200
"""Serial runs of scenarios with different data, for schedulers that measure; Hypothesis makes some 100 examples."""


class Replayed(BaseException):
    """What was asked for has been replayed; nothing that follows it matters. Not an error that tests expect."""


class Runs:
    """The state of the running test, and the ways to run something in it."""

    def __init__(
        self,
        explorers: Explorers | Explorer,
        *,
        isolation: str | None = None,
        replay: ReplayToken | None = None,
        times: int = 0,
        pages: bool = False,
    ) -> None:
        self._explorers = explorers
        self._pages = pages
        self._times = times
        self.isolation = isolation
        self.replay = replay
        """A token that is replayed wherever its scenario is met, by --lab-replay."""
        self.pinned: ReplayToken | None = None
        """The one that is pinned on the running test, while that is run for it."""
        self.repeated: Replays | None = None
        """The replays that were made instead of an execution, where `times` asks for several."""
        self._watched: list[AsyncEngine] = []
        self._serial: dict[str, Trace] = {}
        self._starts: dict[type[Scenario], bool] = {}
        self.begin("")

    def begin(self, again: str) -> None:
        """A test begins; `again` is the command that replays TOKEN in it alone, "" for none."""
        self.ledger = Ledger(again)
        self.pinned = None
        self.met: dict[str, tuple[int, int]] = {}
        """Targets that were checked, hunted or raced; of a race, with the place in the code."""
        self._found: dict[tuple[str, str], ExecutionRecord] = {}

    @property
    def explorer(self) -> Explorer:
        """The explorer of the running event loop."""
        return self._explorers.here() if isinstance(self._explorers, Explorers) else self._explorers

    @contextlib.contextmanager
    def watch(self, *engines: AsyncEngine) -> Iterator[None]:
        """Let actors use an application's own engines: for the block, they lead to the lab's database."""
        self._watched.extend(engines)
        try:
            yield
        finally:
            for engine in engines:
                self._watched.remove(engine)

    async def search(
        self,
        scenario: Scenario,
        scheduler: str,
        executions: int,
        seed: int,
        options: dict[str, int],
        conditions: Conditions,
    ) -> RaceRecord:
        """A hunt. Raises `Violation`, or `UsageError` where it is inconclusive."""
        __tracebackhide__ = True
        job = Job.of(
            scenario,
            scheduler=scheduler,
            executions=executions,
            seed=seed,
            options=options,
            conditions=conditions,
            pages=self._pages,
        )
        hunt = Hunt(scenario, job, replay_hint=self._hint(scenario))
        explorer = self.explorer
        with explorer.watching(*self._watched):
            result = await hunt.run(explorer)
        described = job.described
        faults = struck_by(conditions.may_strike(scenario), conditions.most_faults(scenario))
        self.ledger.hunted(result, list(hunt_lines(result, described, faults))[1:])
        if result.failures:
            failure = result.failures[0]
            report, anomaly = shown(failure.report), failure.anomaly or ""
            raise self._violation(scenario, report, failure.token, failure.broken, anomaly, failure.page)
        if result.reason:
            raise UsageError(f"the hunt of {result.target} is inconclusive: {result.reason}")
        return RaceRecord.of(result, described)

    def token(self, scenario: Scenario, site: tuple[int, int] = (0, 0)) -> ReplayToken | None:
        """What is to be replayed instead, if it is of this scenario."""
        target = target_of(scenario)
        self.met.setdefault(target, site)
        return next((each for each in (self.pinned, self.replay) if each is not None and each.target == target), None)

    async def replayed(self, scenario: Scenario, token: ReplayToken, conditions: Conditions) -> ExecutionRecord:
        """The execution of a token. Raises `Violation`, `Divergence`, and `TokenError` where the scenario changed."""
        __tracebackhide__ = True
        scenario = scenario_of(token, type(scenario))
        conditions = replace(conditions, isolation=token.isolation or conditions.isolation)
        explorer = self.explorer
        with explorer.watching(*self._watched):
            if self._times:
                self.repeated = await replay_times(explorer, scenario, token.schedule, conditions, self._times)
                raise Replayed
            record, changed = await followed(explorer, scenario, token, conditions)
        self.ledger.checked(target_of(scenario), failed=record.failed, replayed=True)
        if record.failed:
            await self.object_to(record, conditions, minimised=False, changed=changed)
        if reason := record.unsteady or next(iter(record.not_checked), ""):
            raise UncontrolledError(reason)
        return record

    async def starts_matter(self, scenario: Scenario, conditions: Conditions) -> bool:
        """Whether that an actor begins is a decision. Found out once for a class, so that all its examples agree."""
        if type(scenario) not in self._starts:
            explorer = self.explorer
            with explorer.watching(*self._watched):
                self._starts[type(scenario)] = await explorer.starts(scenario, conditions) is Starts.DECIDED
        return self._starts[type(scenario)]

    async def calibrate(self, scenario: Scenario, scheduler: Scheduler, conditions: Conditions) -> None:
        """Show a scheduler the serial run of a scenario that it wants to see first; each is run once."""
        key = repr((type(scenario), parameters_of(scenario), conditions))
        if key in self._serial and scheduler.begin(0):
            scheduler.end(self._serial[key])
            return
        while len(self._serial) >= SERIAL_RUNS_KEPT:
            del self._serial[next(iter(self._serial))]
        self._serial[key] = (await self.run(scenario, scheduler, conditions, recorded=False)).trace

    async def run(
        self, scenario: Scenario, scheduler: Scheduler, conditions: Conditions, *, recorded: bool = True
    ) -> ExecutionRecord:
        """One execution. Raises `UsageError` for one without an end."""
        explorer = self.explorer
        with explorer.watching(*self._watched):
            record = await explorer.run(scenario, scheduler, conditions, recorded=recorded)
        if recorded and record.outcome.ending is Ending.STEP_LIMIT:
            raise UsageError(f"{target_of(scenario)} did not end within the step limit; is there an endless loop?")
        return record

    async def object_to(
        self, record: ExecutionRecord, conditions: Conditions, *, minimised: bool, changed: str = ""
    ) -> NoReturn:
        """Raise the `Violation` of an execution.

        `found` is the first failing execution of this scenario in the test, before Hypothesis shrank it.
        """
        __tracebackhide__ = True
        finding = record.findings[0]
        found = self._found.setdefault((target_of(record.scenario), finding.name), record)
        failure = Failure(record, encode(token_of(record, conditions.isolation or "")), found)
        explorer = self.explorer
        if minimised:
            with explorer.watching(*self._watched):
                async for smaller in refined(explorer, failure, conditions):
                    failure = smaller
        report = failure_report(failure, replay_hint=self._hint(record.scenario))
        report = f"{changed}\n\n{report}" if changed else report
        anomaly = next(iter(failure.record.anomalies), "")
        page = page_data(failure, self._hint(record.scenario)) if self._pages else {}
        raise self._violation(record.scenario, report, failure.token, finding.name, anomaly, page)

    def _violation(
        self, scenario: Scenario, report: str, token: str, broken: str, anomaly: str, page: Mapping[str, Any]
    ) -> Violation:
        verdict = decode(token).verdict
        stated = {each.name: each.location for each in invariants_of(type(scenario))}
        return Violation(
            report,
            token=token,
            anomaly=anomaly,
            title=title(verdict) if verdict else "",
            broken=broken,
            location=stated.get(broken, ""),
            page=dict(page),
        )

    def _hint(self, scenario: Scenario) -> str:
        return hints(scenario, self.ledger.again, watched=bool(self._watched))
