"""A hunt: many executions of one scenario, counted, with each kind of failure minimised, replayed and kept."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import FAILURES_KEPT, HuntResult
from lab.errors import Divergence, LabError, SearchOver, ServerError
from lab.explore import Conditions, Explorer
from lab.model.record import ExecutionRecord, Failure
from lab.model.replay_token import decode, encode, scenario_of, token_of
from lab.model.starts import Starts
from lab.scenario.declare import Scenario
from lab.scenario.registry import resolve
from lab.schedulers import Scheduler, Shared, make_scheduler
from lab.schedulers.course import Course
from lab.schedulers.guided import Wished
from lab.schedulers.replay import Replay
from lab.schedulers.way import led_along
from lab.search.crew.crew import Crew
from lab.search.crew.made import Made
from lab.search.crew.maker import Maker
from lab.search.job import Job
from lab.search.result import reported
from lab.shrink.refine import refined

if TYPE_CHECKING:
    from lab.search.kept.keeping import Keeping
    from lab.search.kept.resume import Resumed

__all__ = ["INTERRUPTED", "Hunt", "Progress", "replay_once", "silent"]

ENDLESS = 3
"""So many executions at the beginning that all met the step limit end a hunt: each of the others would, too."""
INTERRUPTED = "interrupted"
"""The trouble of a hunt that was cancelled, by Ctrl-C for example."""

Key = tuple[str, str]
"""Of a violation: the checker and what it says is broken."""
Progress = Callable[[HuntResult], None]
"""Called after each execution with what was seen until then."""


def silent(result: HuntResult) -> None:
    """The default for `progress`: nothing is reported."""


@dataclass(slots=True)
class Hunt:
    """The search of one scenario, as its job says. Stops at the first violation unless the job says to keep going."""

    scenario: Scenario
    job: Job
    progress: Progress = silent
    crew: Crew | None = None
    """Other workers that make some of the executions, as far as the scheduler foresees any."""
    found: Callable[[ReportedFailure], None] | None = None
    """Called with each failure as it was met, before it is minimised: when its lines of code are known."""
    replay_hint: str = "lab replay TOKEN"
    """How a failure is replayed, in the lines of its report."""
    keeping: Keeping | None = None
    """Where it is written what was found, and how far the search is; with it a search may go on where it was."""

    @classmethod
    def of(cls, scenario: Scenario, progress: Progress = silent, **more: Any) -> Hunt:
        """The hunt of a scenario; `more` are fields of `Job`."""
        return cls(scenario, Job.of(scenario, **more), progress)

    async def run(self, explorer: Explorer) -> HuntResult:
        """Hunt. A failing server and Ctrl-C end it early and keep what was found.

        So does any other `LabError` once something was found; before, it is raised.
        """
        result = self._resumed.result if self._resumed else HuntResult(self.job.target, self.job.seed)
        started = time.monotonic() - result.seconds
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

    @property
    def _resumed(self) -> Resumed | None:
        return None if self.keeping is None else self.keeping.resumed

    async def _search(self, explorer: Explorer, result: HuntResult, started: float) -> None:
        job, resumed = self.job, self._resumed
        scheduler = (resumed and resumed.scheduler) or make_scheduler(job.scheduler, job.seed, **job.options)
        result.starts = result.starts if resumed else await self._starts(explorer, started)
        conditions = replace(job.conditions, starts=result.starts is Starts.DECIDED)
        if job.first and not scheduler.calibrated:  # it counts where it belongs, in the part that begins with it
            await explorer.run(self.scenario, scheduler, conditions, checks=())
        maker = Maker(explorer, job, self.scenario, result.starts)
        known = {(checker, broken) for checker, broken in job.known} | {each.key for each in result.failures}
        reduced = set(resumed.reduced if resumed else ())
        last = began = time.monotonic()
        for number in range(job.first, job.first + job.executions):
            last, began = began, time.monotonic()
            if job.seconds is not None and began + (began - last) - started >= job.seconds:
                result.ran_out = True
                return  # nor is one begun for which the time is too short, if it is like the last one
            bound = None if result.starts is Starts.UNKNOWN else scheduler.bound
            result.preemption_bound = bound - 1 if bound else None
            taken, claimed = await self._from_elsewhere(maker, scheduler, number, result, known)
            if taken:
                reduced |= taken.outcomes.keys() if scheduler.exact else set()
            else:
                record = await self._next(explorer, scheduler, conditions, number)
                if record is None:
                    result.ended(reduced, complete=scheduler.complete)
                    return
                result.count(record, sampled=scheduler.sampled)
                reduced |= {record.outcome.digest()} if scheduler.exact else set()
                result.predicted, result.came_true = scheduler.predictions
                if record.failed and _is_news(record.findings[0].key, known):
                    known.add(record.findings[0].key)
                    await self._keep(explorer, result, record, number + 1)
                if claimed and not record.failed:
                    result.unsteady = result.unsteady or _not_repeated(number + 1, claimed)
            result.seconds = time.monotonic() - started
            self._reached(number + 1, result, scheduler, reduced)
            if result.failures and not job.keep_going and result.executions >= job.at_least:
                return
            self.progress(result)
            if result.endless == result.executions == ENDLESS:
                return

    async def _starts(self, explorer: Explorer, started: float) -> Starts:
        """Whether it matters who begins first; not asked where there is no time for an execution.

        It has half of the time at most: that it is not known is said, and executions are worth more.
        """
        seconds = self.job.seconds
        if seconds is not None and seconds <= 0:
            return Starts.UNKNOWN
        until = math.inf if seconds is None else started + seconds / 2
        return await explorer.starts(self.scenario, self.job.conditions, until=until)

    async def _from_elsewhere(
        self, maker: Maker, scheduler: Scheduler, number: int, result: HuntResult, known: Collection[Key]
    ) -> tuple[HuntResult | None, Key | None]:
        """Take in the execution with this number from another worker, and what it counted there; None: make it here.

        One with a violation that is news is to be made here; the second value is what it broke there.
        """
        if self.crew is None or not isinstance(scheduler, Shared):
            return None, None
        found = await self.crew.execution(scheduler, number, maker.make)
        if found is None:
            return None, None
        course, made = found
        claimed = made.broken if made.broken is not None and _is_news(made.broken, known) else None
        fits = not claimed and not made.trouble and _is_alike(made.result, result)
        if not fits or not _is_next(scheduler, number, course, made):
            self.crew.refuse()
            return None, claimed
        bound = result.preemption_bound
        result.add(made.result)
        result.preemption_bound = bound
        return made.result, None

    async def _next(
        self, explorer: Explorer, scheduler: Scheduler, conditions: Conditions, number: int
    ) -> ExecutionRecord | None:
        """The execution with this number; None if the search is over."""
        try:
            return await explorer.run(self.scenario, scheduler, conditions, execution=number)
        except SearchOver:
            return None

    async def _keep(self, explorer: Explorer, result: HuntResult, found: ExecutionRecord, number: int) -> None:
        """Report a failure at once, and again when it is minimised: an interruption in between loses nothing.

        To be shown it needs its lines of code, which are noted in the one execution that comes before the first stage.
        """
        failure = self._failure(found, number)
        result.failures.append(reported(failure, self.replay_hint, page=self.job.pages, width=self.job.width))
        self._written(result)
        if not self.job.refine:
            return
        tell = self.found
        async for smaller in refined(explorer, failure, self.job.conditions):
            result.failures[-1] = reported(smaller, self.replay_hint, page=self.job.pages, width=self.job.width)
            self._written(result)
            if tell is not None:
                tell(result.failures[-1])
                tell = None

    def _written(self, result: HuntResult) -> None:
        if self.keeping is not None:
            self.keeping.met(result.failures[-1])

    def _reached(self, number: int, result: HuntResult, scheduler: Scheduler, reduced: Collection[str]) -> None:
        if self.keeping is not None:
            self.keeping.reached(number, result, scheduler, reduced)

    def _failure(self, found: ExecutionRecord, number: int) -> Failure:
        job = self.job
        token = encode(token_of(found, job.conditions.isolation or ""))
        return Failure(
            found,
            token,
            found,
            found_token=token,
            execution=number,
            executions=job.total or job.executions,
            scheduler=job.described,
        )


def _is_news(broken: Key, known: Collection[Key]) -> bool:
    """Whether a violation is to be reported: it is not known yet, and there is room for it."""
    return broken not in known and len(known) < FAILURES_KEPT


def _is_alike(made: HuntResult, result: HuntResult) -> bool:
    """Whether an execution was made under what is known here: how actors begin, and what differs by nature."""
    return not made.unsteady and (made.starts, made.uncontrolled) == (result.starts, result.uncontrolled)


def _is_next(scheduler: Shared, number: int, course: Course, made: Made) -> bool:
    """Whether what was made is the next execution of a search; if so, the scheduler has learnt from it."""
    assert isinstance(scheduler, Scheduler), "it has courses of its own"
    if course.is_sample:
        scheduler.skip(number, made.form)
        return True
    return led_along(scheduler, number, made.way, made.form)


def _not_repeated(number: int, broken: Key) -> str:
    return (
        f"execution {number} broke {broken[1]!r} in one process and nothing in another, so no schedule of it can be "
        "repeated: chance that is not the lab's decides, or state of the process that outlives a run (a cache or a "
        "counter in a module)"
    )


async def replay_once(explorer: Explorer, job: Job) -> HuntResult:
    """The one execution that the token of a job names, counted as a hunt's. Its trouble is a divergence, if any."""
    named = decode(job.token)
    scenario = scenario_of(named, resolve(named.target))
    conditions = replace(job.conditions, isolation=named.isolation or None)
    result, scheduler = HuntResult(job.target, job.seed), Replay(named.schedule)
    if job.ahead:
        await explorer.get_ready(scenario, scheduler, conditions)
        return result
    try:
        record = await explorer.run(scenario, scheduler, conditions)
    except Divergence as error:
        result.trouble = str(error)
    except asyncio.CancelledError:
        result.trouble = INTERRUPTED
    else:
        result.count(record, sampled=False)
        if record.failed:
            result.failures.append(reported(Failure(record, job.token, record)))
    if job.follow and result.trouble not in ("", INTERRUPTED):
        conditions = replace(conditions, starts=named.schedule.starts)
        near = await explorer.run(scenario, Wished(named.schedule.decisions), conditions)
        if near.failed:
            result = HuntResult(job.target, job.seed)
            result.count(near, sampled=False)
            result.failures.append(reported(Failure(near, encode(token_of(near, named.isolation)), near)))
    return result
