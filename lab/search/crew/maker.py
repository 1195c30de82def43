"""Makes executions of a search that another process has; or that this one has, before it comes to them."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from lab.analysis.tally import HuntResult
from lab.engine.watchdog import importing
from lab.errors import LabError, ServerError
from lab.explore import Explorer
from lab.model.starts import Starts
from lab.scenario.declare import Scenario
from lab.schedulers import Scheduler, Shared, make_scheduler
from lab.schedulers.course import Course
from lab.schedulers.way import Noting, way_of
from lab.search.crew.made import Made
from lab.search.job import Job

__all__ = ["ONWARD", "Maker"]

ONWARD = 6
"""How much of what an execution leads to is said: more than there are others who could make it at once."""


class Maker:
    """Makes executions of a job, each by itself, under conditions that say how its actors begin.

    It has a scheduler of its own, which is no search: that of the search must not see what it has not come to.
    """

    def __init__(self, explorer: Explorer, job: Job, scenario: Scenario, starts: Starts) -> None:
        self._explorer, self._job, self._scenario, self._starts = explorer, job, scenario, starts
        self._conditions = replace(job.conditions, starts=starts is Starts.DECIDED)
        self._scheduler: Scheduler | None = None

    @classmethod
    async def ready(cls, explorer: Explorer, job: Job) -> Maker:
        """One in a process of its own. Raises `LabError` as the search does that it helps."""
        with importing():
            scenario = job.scenario()
        maker = cls(explorer, job, scenario, await explorer.starts(scenario, job.conditions))
        await maker._calibrated()
        return maker

    async def _calibrated(self) -> Scheduler:
        if self._scheduler is None:
            scheduler = make_scheduler(self._job.scheduler, self._job.seed, **self._job.options)
            if not scheduler.calibrated:
                await self._explorer.run(self._scenario, scheduler, self._conditions, checks=())
            self._scheduler = scheduler
        return self._scheduler

    async def make(self, course: Course) -> Made:
        """Make it. Raises `ServerError`; any other `LabError` is the trouble of what is made."""
        result = HuntResult(self._job.target, self._job.seed, starts=self._starts)
        own = await self._calibrated()
        assert isinstance(own, Shared), "it has foreseen this"
        follower = own if course.is_sample else own.follower(course)
        noting = Noting(follower)
        try:
            record = await self._explorer.run(self._scenario, noting, self._conditions, execution=course.number)
        except ServerError:
            raise
        except LabError as error:
            return Made(course.key, result, trouble=str(error) or type(error).__name__)
        result.count(record, sampled=noting.sampled)
        broken = record.findings[0].key if record.failed else None
        if course.is_sample:
            return Made(course.key, result, broken)
        onward = tuple(islice(follower.courses(course.number), ONWARD)) if isinstance(follower, Shared) else ()
        return Made(course.key, result, broken, way_of(record.trace, stalled=noting.stalled), onward)
