"""A search under a remedy in another process, beside those of this one.

A search under one remedy knows nothing of the others, so it does not matter where it is made. The process that tried
the failure, and is fresh no more, makes some of them where there is a core for it. What it does not answer is searched
here, so that whatever becomes of that process, only the time differs.
"""

from __future__ import annotations

import asyncio
import base64
import math
import os
import pickle
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Protocol

from lab.explore import Explorer
from lab.model.remedy import Remedy
from lab.schedulers import make_scheduler
from lab.search.job import Job
from lab.search.remedies.searched import Searched, search
from lab.search.remedies.trial import Trial

__all__ = ["Away", "Helper", "remedy_of", "search_of", "searched_here"]


class Helper(Protocol):
    """Another process that does jobs."""

    def ask(self, job: Job) -> Future[Any]:
        """Let it do one; the answer is a `lab.search.workers.JobResult`."""
        ...


def search_of(job: Job, remedy: Remedy, scheduler: str, numbers: range, seconds: float) -> Job | None:
    """A search as a job for another process; None for a remedy that cannot be sent, with values of the user's types."""
    try:
        sent = base64.b64encode(pickle.dumps(remedy)).decode()
    except Exception:  # noqa: BLE001 - whatever their code raises, it is searched here
        return None
    left = None if math.isinf(seconds) else seconds
    job = replace(job, scheduler=scheduler, options={}, first=numbers.start, executions=len(numbers))
    return replace(job, seconds=left, remedy=sent)


def remedy_of(job: Job) -> Remedy:
    """The remedy of such a job."""
    remedy: Remedy = pickle.loads(base64.b64decode(job.remedy))  # noqa: S301 - the lab that started this process sent it
    return remedy


async def searched_here(explorer: Explorer, job: Job) -> Searched:
    """Do such a job. Raises what `Explorer.run` raises."""
    until = math.inf if job.seconds is None else time.monotonic() + job.seconds
    numbers = range(job.first, job.first + job.executions)
    scheduler = make_scheduler(job.scheduler, job.seed, **job.options)
    return await search(explorer, job, remedy_of(job), scheduler, numbers, until=until, progress=lambda done: None)


class Away:
    """The other process, on the side of this one: one search at a time. `helper` gives it once it is free."""

    def __init__(self, helper: Callable[[], Helper | None]) -> None:
        self._helper = helper if _cores() > 1 else lambda: None
        self._given: tuple[Trial, Future[Any]] | None = None

    @property
    def is_busy(self) -> bool:
        """A trial was given to it and not taken back."""
        return self._given is not None

    @property
    def is_free(self) -> bool:
        """It can be given one."""
        return self._given is None and self._helper() is not None

    def give(self, trial: Trial, job: Job) -> None:
        """Let it make the search of a trial."""
        helper = self._helper()
        assert helper is not None
        self._given = trial, helper.ask(job)

    def take(self) -> tuple[Trial, Searched | None] | None:
        """The trial with its search, if that is over: None for one that gave no answer."""
        if self._given is None or not self._given[1].done():
            return None
        (trial, answer), self._given = self._given, None
        if answer.cancelled() or answer.exception() is not None or not answer.result().searched:
            return trial, None
        return trial, Searched.load(answer.result().searched)

    def give_up(self) -> Trial | None:
        """The trial, whose search is of no use any more."""
        trial, self._given = self._given[0] if self._given else None, None
        return trial

    async def over(self) -> None:
        """Wait until its search is over. Not while an execution runs in this loop."""
        if self._given is not None:
            answer, task = self._given[1], asyncio.current_task()
            try:
                await asyncio.shield(asyncio.wrap_future(answer))
            except asyncio.CancelledError:
                if not answer.cancelled() or (task is not None and task.cancelling()):
                    raise
            except Exception:  # noqa: BLE001, S110 - `take` looks at it
                pass


def _cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
