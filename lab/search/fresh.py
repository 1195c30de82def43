"""Tries in a fresh process what a hunt found, since a replay in the same process finds what the hunt left there.

An actor may leave something behind: in a module, in a cache, in a pool of its own. Then the executions after it depend
on more than their schedules. The process of a hunt cannot show that; one that has run nothing yet can. Where the token
of a failure gives something else there, what does give the failure is looked for in the same way: the schedule as it
was found, then the hunt from its start.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import replace

from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.postgres.server.place import Place
from lab.report.fresh import Fresh, with_fresh
from lab.schedulers import DEFAULT
from lab.search.beside import Beside
from lab.search.hunt import INTERRUPTED
from lab.search.job import Job
from lab.search.standby import Standby
from lab.search.workers import JobResult, Workers

__all__ = ["FreshCheck", "tried_in_fresh_processes"]


async def tried_in_fresh_processes(place: Place, job: Job, result: HuntResult, standby: Standby | None = None) -> None:
    """Try each failure of a hunt in a process of its own on a running server, and let its report say what came of it.

    `standby` is a process that may be used for the first of them.
    Nothing is tried after a hunt that was broken off. An interruption is the trouble of the result.
    """
    if result.trouble:
        return
    try:
        for number, failure in enumerate(result.failures):
            result.failures[number] = with_fresh(failure, await _tried(place, job, failure, standby))
    except asyncio.CancelledError:
        result.trouble = INTERRUPTED


async def _tried(place: Place, job: Job, failure: ReportedFailure, standby: Standby | None) -> Fresh:
    once = replace(job, token=failure.token, seconds=None)
    answer = None
    if standby is not None and standby.is_fresh and not standby.is_over:
        answer = _not_interrupted(await asyncio.wrap_future(standby.ask(once)))
    if answer is None or answer.error:  # code of the hunt may have ended a process that was there so early
        answer = await _in_a_fresh_process(place, once)
    if answer.error:
        return Fresh(reproduced=None, instead=answer.error)
    if _shows(answer, failure):
        return Fresh(reproduced=True)
    other = answer.result.failures
    instead = "breaks something else" if other else "diverges" if answer.result.trouble else "passes"
    for tried, command in _others(job, failure):
        if _shows(await _in_a_fresh_process(place, tried), failure):
            return Fresh(reproduced=False, instead=instead, command=command)
    return Fresh(reproduced=False, instead=instead)


def _others(job: Job, failure: ReportedFailure) -> Iterator[tuple[Job, str]]:
    """What else may reproduce a failure, as a job and as a command."""
    if failure.found_token != failure.token:
        asked = "".join(f" --check {name}" for name in job.conditions.checks)
        yield replace(job, token=failure.found_token, seconds=None), f"lab replay {failure.found_token}{asked}"
    first = replace(job, executions=failure.execution, refine=False, seconds=None)
    yield first, _command(first)


def _command(job: Job) -> str:
    """The hunt as the command line asks for it."""
    conditions = job.conditions
    words = ["lab", "hunt", job.target, "--seed", job.seed, "--executions", job.executions]
    if job.scheduler != DEFAULT:
        words += ["--scheduler", job.scheduler]
    for name, value in job.options.items():
        words += [f"--{name}", value]
    if conditions.isolation:
        words += ["--isolation", conditions.isolation]
    for name in conditions.checks:
        words += ["--check", name]
    if conditions.added_faults:
        words += ["--faults", ",".join(conditions.added_faults)]
    if conditions.faults_at_most is not None:
        words += ["--faults-at-most", conditions.faults_at_most]
    words += ["--no-breakpoints"] * (not conditions.breakpoints) + ["--keep-going"] * job.keep_going
    return shlex.join(map(str, words))


async def _in_a_fresh_process(place: Place, job: Job) -> JobResult:
    async with contextlib.aclosing(Workers(place, 1).perform([job])) as done:
        async for _, answer in done:
            return _not_interrupted(answer)
    raise asyncio.CancelledError  # it was interrupted before it began


def _not_interrupted(answer: JobResult) -> JobResult:
    if answer.result.trouble == INTERRUPTED:
        raise asyncio.CancelledError
    return answer


class FreshCheck:
    """The same beside this process, from the first failure on that its hunt meets. Leave it with `aclose`.

    `early`: a process that was started before.
    """

    def __init__(self, place: Place, job: Job, early: Standby | None = None) -> None:
        self._place, self._job, self._early = place, job, early
        if early is not None:
            early.begin(place)
        self.standby: Standby | None = None
        """A process that is there before it is needed, and of use afterwards."""
        self._trying: Beside | None = None

    def expect(self, failure: ReportedFailure) -> None:
        """There will be a failure to try: this one, made smaller. Until then a process gets ready for it."""
        if self.standby is None:
            self.standby = self._early or Standby(self._place)
            self.standby.ask(replace(self._job, token=failure.token, ahead=True, seconds=None))

    def begin(self, result: HuntResult) -> None:
        """Try the failures of a hunt that is over."""
        self._trying = Beside(lambda: tried_in_fresh_processes(self._place, self._job, result, self.standby))

    @property
    def is_over(self) -> bool:
        """Whether all are tried."""
        return self._trying is None or self._trying.is_over

    def helper(self) -> Standby | None:
        """A process for other work, once all are tried."""
        return self.standby if self._trying is not None and self._trying.is_over else None

    def dismiss(self) -> None:
        """Nothing more is asked; what is left may begin to leave."""
        if self.standby is not None:
            self.standby.dismiss()

    def cancel(self) -> None:
        """Ask it to end."""
        if self._trying is not None:
            self._trying.cancel()

    async def over(self) -> None:
        """Wait until all are tried. Who waits and is cancelled ends it."""
        if self._trying is not None:
            await self._trying.over()

    async def aclose(self) -> None:
        """End what still runs; returns when no process is left."""
        self.cancel()
        try:
            if standby := self.standby or self._early:
                await standby.aclose()
        finally:
            await self.over()


def _shows(answer: JobResult, failure: ReportedFailure) -> bool:
    return failure.key in {each.key for each in answer.result.failures}
