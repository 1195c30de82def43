"""Tries remedies against a failure: what helps, what does not, and what it costs.

Each remedy is a hunt of its own over the unchanged code, by the same scheduler from the same seed, behind a run that
keeps as near as it can to the schedule that failed. The scenario as it is goes through the same executions, so that the
prices can be compared, and so that it is known how much a hunt without a violation proves: where the scenario as it is
breaks seldom, no violation means little, and the verdict is `inconclusive`.

A remedy that makes others wait leaves fewer orders. That is its purpose and no reason for doubt: an actor that waits
has met another one, so the executions count as overlapping and conflicting as always; a hunt in which no two actors met
is `inconclusive` here as everywhere.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from lab.analysis.facts import Facts
from lab.analysis.tally import HuntResult, ReportedFailure
from lab.checkers import CHECKERS
from lab.errors import LabError, ServerError
from lab.explore import Explorer
from lab.model.record import ExecutionRecord
from lab.model.remedy import NOT_RUN, Remedies, Remedy, Tried
from lab.model.replay_token import decode
from lab.model.verdict import Verdict
from lab.schedulers.guided import Wished
from lab.search.hunt import INTERRUPTED, Hunt
from lab.search.job import Job
from lab.search.remedies import REMEDIES
from lab.search.remedies.kind import ATTEMPTS, Kind
from lab.shrink.replays import replay_times

__all__ = ["curable", "try_remedies"]

MOST = 100
"""Executions for each remedy: a second or so."""
FOR_A_PRICE = 30
"""Executions for one that does not help: enough to measure what it costs."""
CERTAIN = 0.05
"""How likely a hunt without a violation may be, if the remedy changed nothing, to say that it helps."""
ORDER = (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, NOT_RUN)

Progress = Callable[[str, int], None]
"""Called with the name of what is tried, and after each execution with the number of executions in all."""


def curable(job: Job, result: HuntResult) -> ReportedFailure | None:
    """The first failure of a hunt against which remedies can be tried, if the hunt was not broken off.

    Not one that needs what an earlier execution left in the process: every remedy would meet it, too. Nor one about the
    database, which is no business of the code's, nor one that is no race.
    """
    if result.trouble or job.scenario().faults:
        return None
    known = [each for each in result.failures if each.fresh_process is not False]
    known = [each for each in known if not (each.about_database or each.without_overlap)]
    return next((failure for failure in known if _kinds(failure.checker)), None)


def _kinds(checker: str) -> list[Kind]:
    """The kinds of remedies that may cure what a checker objects to; none where the lab does not know it."""
    known = CHECKERS.get(checker)
    return [] if known is None else [kind for name, kind in REMEDIES.items() if name in known.cured_by]


async def try_remedies(explorer: Explorer, job: Job, failure: ReportedFailure, progress: Progress) -> Remedies:
    """Try what fits a failure of this hunt. Trouble ends it early and keeps what was found out."""
    scheduler = job.described
    scenario, schedule = job.scenario(), decode(failure.token).schedule
    try:
        record = (await replay_times(explorer, scenario, schedule, job.conditions, 1)).record
    except (LabError, asyncio.CancelledError) as error:
        return Remedies(scheduler, trouble=str(error) or INTERRUPTED)
    if record is None or not record.failed:
        return Remedies(scheduler, trouble="the failure does not replay")
    facts = Facts(record, job.conditions.isolation, failure.anomaly)
    kinds = _kinds(failure.checker)
    trials = _Trials(explorer, job, record, progress)
    tried = [*await trials.all_of(kinds, facts), *(each for kind in kinds for each in kind.advises(facts))]
    return Remedies(
        scheduler,
        trials.executions,
        ATTEMPTS,
        trials.unfixed.price,
        trials.unfixed.violated,
        tuple(sorted(tried, key=lambda each: ORDER.index(each.verdict))),
    )


class _Trials:
    """Hunts under remedies. Once there is trouble, the rest is not run."""

    def __init__(self, explorer: Explorer, job: Job, record: ExecutionRecord, progress: Progress) -> None:
        self.executions = min(job.executions, MOST)
        self.unfixed = HuntResult(job.target, job.seed)
        """The scenario as it is."""
        self._explorer = explorer
        self._job = job
        self._record = record
        self._progress = progress
        self._trouble = ""
        self._clock: list[float] = []
        """When the hunt for the scenario as it is began, and when each of its executions was done."""

    async def all_of(self, kinds: Sequence[Kind], facts: Facts) -> list[Tried]:
        """Try every remedy that fits, and what an execution under one of them calls for."""
        try:
            self.unfixed = await self._hunt(None)
        except LabError as error:
            self._trouble = str(error)
        waiting, tried = deque((kind, remedy) for kind in kinds for remedy in kind.runs(facts)), []
        while waiting:
            kind, remedy = waiting.popleft()
            done = await self._try(kind, remedy)
            tried.append(done)
            if (price := done.price) is not None:
                more = [(each, other) for each in kinds for other in each.follows(facts, remedy, price)]
                waiting.extendleft(reversed(more))
        return tried

    async def _try(self, kind: Kind, remedy: Remedy) -> Tried:
        if self._trouble:
            return Tried(remedy.name, reason=self._trouble, remedy=remedy)
        try:
            first = await self._again(remedy)
            if reason := kind.idle(remedy, first):
                return Tried(remedy.name, reason=reason, remedy=remedy)
            result = await self._hunt(remedy)
        except LabError as error:
            self._trouble = str(error) if isinstance(error, ServerError) else ""
            return Tried(remedy.name, Verdict.INCONCLUSIVE, str(error), remedy=remedy)
        except asyncio.CancelledError:
            self._trouble = INTERRUPTED
            return Tried(remedy.name, reason=INTERRUPTED, remedy=remedy)
        verdict, reason = self._judged(first, result)
        price = replace(result.price, times=self._times(result))
        return Tried(remedy.name, verdict, reason, kind.left(remedy, first), remedy, price)

    async def _again(self, remedy: Remedy) -> ExecutionRecord:
        """The failing schedule, as near as it can be kept under a remedy."""
        wished = Wished([step.chosen for step in self._record.trace])
        conditions = replace(self._job.conditions, remedy=remedy, starts=self._record.trace.starts)
        return await self._explorer.run(self._record.scenario, wished, conditions)

    async def _hunt(self, remedy: Remedy | None) -> HuntResult:
        name = remedy.name if remedy is not None else "as it is"

        def progress(seen: HuntResult) -> None:
            self._progress(name, seen.executions)
            if remedy is None:
                self._clock.append(time.monotonic())

        if remedy is None:
            self._clock.append(time.monotonic())
        job = replace(
            self._job,
            executions=self.executions,
            keep_going=remedy is None,
            at_least=FOR_A_PRICE,
            refine=False,
            conditions=replace(self._job.conditions, remedy=remedy),
        )
        result = await Hunt(self._record.scenario, job, progress).run(self._explorer)
        self._trouble = result.trouble
        return result

    def _times(self, result: HuntResult) -> float | None:
        """The time of an execution as a multiple of what as many executions of the scenario as it is took."""
        number = min(result.executions, len(self._clock) - 1)
        if number < 1:
            return None
        return (result.seconds / result.executions) / ((self._clock[number] - self._clock[0]) / number)

    def _judged(self, first: ExecutionRecord, result: HuntResult) -> tuple[str, str]:
        """The verdict on a remedy, and the reason where it is not a pass."""
        if result.failures:
            said = first.findings[0].message if first.failed else result.failures[0].broken
            return Verdict.FAIL, f"{result.violated} of {result.executions} break: {said}"
        if first.failed:
            return Verdict.FAIL, f"the schedule that failed still fails: {first.findings[0].message}"
        doubt = self._doubt(result)
        return (Verdict.INCONCLUSIVE, doubt) if doubt else (Verdict.PASS, "")

    def _doubt(self, result: HuntResult) -> str:
        """Why a hunt without a violation says too little; "" if it does not."""
        if result.verdict != Verdict.PASS:
            return result.reason
        if self._record.trace.breakpoints and not result.coverage.paused:
            return "the failure needs a pause inside a statement, and the lab can make none here"
        unfixed = self.unfixed
        if result.complete or (result.exhausted and unfixed.violated):
            return ""
        unharmed = 1 - unfixed.violated / max(unfixed.executions, 1)
        if unharmed**result.executions <= CERTAIN:
            return ""
        often = f"{unfixed.violated} of {unfixed.executions} executions break"
        return f"nothing broke, which says little: as it is, {often}"
