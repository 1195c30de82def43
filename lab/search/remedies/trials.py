"""Tries remedies against a failure: what helps, what does not, and what it costs.

Each remedy is tried on the unchanged code until the answer is certain, and no longer:

1. The schedule that failed, as near as it can be kept. Where it still fails, the remedy does not help.
2. Reduction, until every trace was run or one fails: a few dozen executions for the textbook races.
3. Where there are more, as many executions as a hunt makes, by its own scheduler. The scenario as it is goes through
   the same, so that it is known how much an end without a violation proves: where it breaks seldom as it is, that means
   little, and the verdict is `inconclusive`.

All remedies take the first stage, then all that are left the second: when the time is over, as many as can be have
an answer, and the others are said to have none.

A remedy that makes others wait leaves fewer orders. That is its purpose and no reason for doubt: an actor that waits
has met another one, so the executions count as overlapping and conflicting as always; a search in which no two actors
met is `inconclusive` here as everywhere.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from lab.analysis.facts import Facts
from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.errors import DEFECTS, LabError, ServerError, defect
from lab.explore import Explorer
from lab.model.record import ExecutionRecord
from lab.model.remedy import NO_TIME, NOT_RUN, UNLESS_STARVED, Remedies, Remedy, Tried
from lab.model.replay_token import decode
from lab.model.verdict import Verdict
from lab.schedulers import Scheduler, make_scheduler
from lab.schedulers.guided import Wished
from lab.search.hunt import INTERRUPTED
from lab.search.job import Job
from lab.search.remedies.away import Away, Helper, search_of
from lab.search.remedies.curable import kinds_against
from lab.search.remedies.kind import ATTEMPTS, Kind
from lab.search.remedies.searched import Searched, search
from lab.search.remedies.trial import FEW, Trial
from lab.shrink.replays import replay_times

__all__ = ["try_remedies"]

REDUCED = 60
"""Executions of reduction for each remedy: against the textbook races they need 2 to 34."""
MOST = 100
"""Executions for each remedy by the scheduler of the hunt, where reduction does not come to its end."""
FOR_A_PRICE = 15
"""Executions of the scenario as it is, enough to see what it costs."""
REDUCTION = "dpor"
ORDER = (Verdict.PASS, UNLESS_STARVED, Verdict.FAIL, Verdict.INCONCLUSIVE, NO_TIME, NOT_RUN)

Progress = Callable[[str, int], None]
"""Called with the name of what is tried, and after each execution with the number of executions of that."""


async def try_remedies(
    explorer: Explorer,
    job: Job,
    failure: ReportedFailure,
    progress: Progress,
    *,
    seconds: float = math.inf,
    helper: Callable[[], Helper | None] = lambda: None,
) -> Remedies:
    """Try what fits a failure of this hunt. Trouble ends it early, the time as well; both keep what was found out.

    `helper` gives another process that may make some of the searches, once there is one that is free.
    """
    until = time.monotonic() + seconds
    scheduler = job.described
    scenario, schedule = job.scenario(), decode(failure.token).schedule
    try:
        record = (await replay_times(explorer, scenario, schedule, job.conditions, 1)).record
    except (LabError, asyncio.CancelledError) as error:
        return Remedies(scheduler, trouble=str(error) or INTERRUPTED)
    if record is None or not record.failed:
        return Remedies(scheduler, trouble="the failure does not replay")
    kinds = kinds_against(failure.checker)
    trials = _Trials(explorer, job, record, progress, until, Away(helper))
    try:
        facts = Facts(record, job.conditions.isolation, failure.anomaly)
        tried = [*await trials.all_of(kinds, facts), *(each for kind in kinds for each in _advice(kind, facts))]
    except DEFECTS as error:
        return Remedies(scheduler, trouble=defect("find out what could help", error))
    return Remedies(
        scheduler,
        min(job.executions, MOST),
        ATTEMPTS,
        record.isolation,
        trials.unfixed.price(None),
        trials.unfixed.result.violated,
        tuple(sorted(tried, key=lambda each: ORDER.index(each.verdict))),
    )


def _advice(kind: Kind, facts: Facts) -> list[Tried]:
    try:
        return list(kind.advises(facts))
    except DEFECTS as error:
        return [Tried(kind.name, reason=defect("find out whether this could help", error))]


class _Trials:
    """All trials against one failure. Once there is trouble, the rest is not run."""

    def __init__(
        self, explorer: Explorer, job: Job, record: ExecutionRecord, progress: Progress, until: float, away: Away
    ) -> None:
        self._explorer, self._job, self._record, self._progress = explorer, job, record, progress
        self._until, self._away = until, away
        self._todo: deque[Trial] = deque()
        """Those that wait for their reduction."""
        self._back: deque[tuple[Trial, Searched | None]] = deque()
        """Those whose reduction was made away, with what was seen there."""
        self._trouble = ""
        self.unfixed = self._nothing()
        """The scenario as it is, by reduction."""
        self._samples: dict[int, Searched] = {}
        """The same by the scheduler of the hunt, where that was needed: so many executions."""

    async def all_of(self, kinds: Sequence[Kind], facts: Facts) -> list[Tried]:
        """Try every remedy that fits, and what an execution under one of them calls for."""
        trials = [self._trial(kind, remedy) for kind in kinds for remedy in kind.runs(facts)]
        await self._stage(trials, self._again)
        self._todo.extend(trials)
        await self._measure()
        followed: dict[int, list[Trial]] = {id(trial): [] for trial in trials}
        while (trial := await self._reduced()) is not None:
            if id(trial) in followed:
                price = trial.seen.price(None)
                more = [self._trial(each, new) for each in kinds for new in each.follows(facts, trial.remedy, price)]
                await self._stage(more, self._again)
                self._todo.extend(more)
                followed[id(trial)] = more
        trials = [each for trial in trials for each in (trial, *followed[id(trial)])]
        for _ in ("as it stands", "with a pause, where a retry loop proved to need one"):
            await self._stage(trials, self._sample)
        return [trial.tried(self.unfixed.typical) for trial in trials]

    def _trial(self, kind: Kind, remedy: Remedy) -> Trial:
        return Trial(kind, remedy, self._record, self._nothing())

    def _nothing(self) -> Searched:
        return Searched(HuntResult(self._job.target, self._job.seed))

    async def _stage(self, trials: Sequence[Trial], stage: Callable[[Trial], Awaitable[None]]) -> None:
        """Take every trial that has no answer through one stage."""
        for trial in trials:
            if trial.verdict:
                continue
            if self._trouble:
                trial.answer(NOT_RUN, self._trouble)
            elif time.monotonic() >= self._until:
                trial.late()
            else:
                try:
                    await stage(trial)
                except LabError as error:
                    self._trouble = str(error) if isinstance(error, ServerError) else ""
                    trial.answer(Verdict.INCONCLUSIVE, str(error))
                except DEFECTS as error:
                    trial.answer(Verdict.INCONCLUSIVE, defect("try this remedy", error))
                except asyncio.CancelledError:
                    self._trouble = INTERRUPTED
                    trial.answer(NOT_RUN, INTERRUPTED)

    async def _measure(self) -> None:
        """Run the scenario as it is."""
        try:
            number = min(FOR_A_PRICE, self._job.executions)
            self.unfixed = await self._search(None, make_scheduler(REDUCTION, self._job.seed), range(number))
        except LabError as error:
            self._trouble = str(error)
        except asyncio.CancelledError:
            self._trouble = INTERRUPTED

    async def _again(self, trial: Trial) -> None:
        """Run the schedule that failed, as near as it can be kept under the remedy; once more where it has a pause."""
        starved = trial.starved
        began = time.monotonic()
        wished = Wished([step.chosen for step in self._record.trace])
        conditions = replace(self._job.conditions, remedy=trial.remedy, starts=self._record.trace.starts)
        record = await self._explorer.run(self._record.scenario, wished, conditions)
        trial.take_first(record, time.monotonic() - began)
        if trial.starved != starved:
            await self._again(trial)

    async def _reduced(self) -> Trial | None:
        """A trial whose reduction is over now, made here or away; None where there is none left."""
        while True:
            self._look_away()
            if self._back:
                trial, seen = self._back.popleft()
                await self._stage([trial], self._reduce if seen is None else partial(self._take_reduced, seen=seen))
            elif self._todo:
                trial = self._todo.popleft()
                await self._stage([trial], self._reduce)
            elif not self._away.is_busy:
                return None
            elif self._trouble and (left := self._away.give_up()):
                self._todo.append(left)
                continue
            else:
                try:
                    await self._away.over()
                except asyncio.CancelledError:
                    self._trouble = INTERRUPTED
                continue
            return trial

    def _look_away(self) -> None:
        """Take what was searched away, and give the next one away if there is more than one to do."""
        if (back := self._away.take()) is not None:
            self._back.append(back)
        if not self._away.is_free or self._trouble:
            return
        for trial in self._todo:
            left = self._until - time.monotonic()
            if trial.verdict or trial.remedy.pause or left <= 0:
                continue
            if job := search_of(self._job, trial.remedy, REDUCTION, self._reductions, left):
                self._todo.remove(trial)
                self._away.give(trial, job)
                return

    @property
    def _reductions(self) -> range:
        return range(min(REDUCED, self._job.executions))

    async def _reduce(self, trial: Trial) -> None:
        if trial.remedy.pause:
            return  # an actor that waits in the process depends on everything, which leaves nothing to reduce
        scheduler = make_scheduler(REDUCTION, self._job.seed)
        await self._take_reduced(trial, await self._search(trial.remedy, scheduler, self._reductions))

    async def _take_reduced(self, trial: Trial, seen: Searched) -> None:
        trial.take(seen)
        trial.take_reduced(self.unfixed)
        if trial.starved:
            await self._again(trial)

    async def _sample(self, trial: Trial) -> None:
        job, pause = self._job, trial.remedy.pause
        most = min(job.executions, MOST)
        scheduler = make_scheduler(job.scheduler, job.seed, **job.options)
        for numbers in (range(min(FEW, most)), range(FEW, most)):
            if not numbers or trial.verdict:
                return
            trial.take(await self._search(trial.remedy, scheduler, numbers))
            if trial.remedy.pause != pause:
                await self._again(trial)
                return
            if not trial.verdict:
                trial.take_sampled(await self._as_it_is(numbers.stop), last=numbers.stop == most)

    async def _as_it_is(self, number: int) -> Searched:
        """As many samples of the scenario as it is."""
        if number not in self._samples:
            scheduler = make_scheduler(self._job.scheduler, self._job.seed, **self._job.options)
            self._samples[number] = await self._search(None, scheduler, range(number))
        return self._samples[number]

    async def _search(self, remedy: Remedy | None, scheduler: Scheduler, numbers: range) -> Searched:
        name = "as it is" if remedy is None else remedy.name

        def progress(done: int) -> None:
            self._look_away()
            self._progress(name, done)

        return await search(
            self._explorer,
            self._job,
            remedy,
            scheduler,
            numbers,
            until=self._until,
            progress=progress,
        )
