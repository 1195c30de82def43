"""A hunt: many executions of one scenario, counted, with each kind of failure minimised, replayed and kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lab.analysis.tally import FAILURES_KEPT, HuntResult
from lab.errors import LabError, SearchOver, ServerError
from lab.explore import Explorer
from lab.model.record import ExecutionRecord, Failure
from lab.model.remedy import Remedy
from lab.model.replay_token import encode, token_for
from lab.scenario.declare import Scenario
from lab.schedulers import DEFAULT, Scheduler, describe, make_scheduler
from lab.search.result import reported
from lab.shrink.refine import refined

__all__ = ["INTERRUPTED", "Hunt"]

INTERRUPTED = "interrupted"
"""The trouble of a hunt that was cancelled, by Ctrl-C for example."""


@dataclass(slots=True)
class Hunt:
    """The search of one scenario. Stops at the first violation unless `keep_going`.

    For a hunt that is one part of a larger one, `first` is the number of its first execution and `total` how many
    executions the whole may have; `known` are the keys of violations that earlier parts have reported.
    """

    scenario: Scenario
    target: str
    scheduler: str = DEFAULT
    executions: int = 200
    first: int = 0
    total: int = 0
    known: Sequence[Sequence[str]] = ()
    seconds: float | None = None
    seed: int = 0
    isolation: str | None = None
    keep_going: bool = False
    options: Mapping[str, int] = field(default_factory=dict)
    """Of the scheduler."""
    breakpoints: bool = True
    checks: Sequence[str] = ()
    """Asked for beside the scenario's own invariants; see `lab.checkers`."""
    remedy: Remedy | None = None
    refine: bool = True
    """Minimise failures, find out what they needed and replay them; without, they are counted and told as met."""
    at_least: int = 1
    """Do not stop for a violation before so many executions."""
    progress: Callable[[HuntResult], None] = lambda result: None

    async def run(self, explorer: Explorer) -> HuntResult:
        """Hunt. A failing server and Ctrl-C end it early and keep what was found.

        So does any other `LabError` once something was found; before, it is raised.
        """
        result = HuntResult(self.target, self.seed)
        started = time.monotonic()
        try:
            await self._search(explorer, result, started)
        except LabError as error:
            if not isinstance(error, ServerError) and not result.failures:
                raise
            result.trouble = str(error)
        except asyncio.CancelledError:
            result.trouble = INTERRUPTED
        result.seconds = time.monotonic() - started
        return result

    async def _search(self, explorer: Explorer, result: HuntResult, started: float) -> None:
        scheduler = make_scheduler(self.scheduler, self.seed, **self.options)
        if self.first and not scheduler.calibrated:  # it counts where it belongs, in the part that begins with it
            await explorer.run(self.scenario, scheduler, isolation=self.isolation, remedy=self.remedy)
        known = {(checker, broken) for checker, broken in self.known}
        for number in range(self.first, self.first + self.executions):
            if self.seconds is not None and time.monotonic() - started >= self.seconds:
                return
            result.preemption_bound = scheduler.bound - 1 if scheduler.bound else None
            record = await self._next(explorer, scheduler, number)
            if record is None:
                result.exhausted = True
                result.complete = scheduler.complete
                return
            result.count(record, sampled=scheduler.sampled)
            result.predicted, result.came_true = scheduler.predictions
            if record.failed and record.findings[0].key not in known and len(known) < FAILURES_KEPT:
                known.add(record.findings[0].key)
                await self._keep(explorer, result, record, number + 1)
            if result.failures and not self.keep_going and result.executions >= self.at_least:
                return
            self.progress(result)

    async def _next(self, explorer: Explorer, scheduler: Scheduler, number: int) -> ExecutionRecord | None:
        """The execution with this number; None if the search is over."""
        try:
            return await explorer.run(
                self.scenario,
                scheduler,
                execution=number,
                isolation=self.isolation,
                breakpoints=self.breakpoints,
                checks=self.checks,
                remedy=self.remedy,
            )
        except SearchOver:
            return None

    async def _keep(self, explorer: Explorer, result: HuntResult, found: ExecutionRecord, number: int) -> None:
        """Report a failure at once, and again when it is minimised: an interruption in between loses nothing."""
        failure = self._failure(found, number)
        result.failures.append(reported(failure))
        if not self.refine:
            return
        level, checks = self.isolation, self.checks
        async for smaller in refined(explorer, failure, level, breakpoints=self.breakpoints, checks=checks):
            result.failures[-1] = reported(smaller)

    def _failure(self, found: ExecutionRecord, number: int) -> Failure:
        token = token_for(self.scenario, found.schedule, self.isolation or "")
        return Failure(
            found,
            encode(token),
            found,
            execution=number,
            executions=self.total or self.executions,
            scheduler=describe(self.scheduler, self.seed, self.options),
        )
