"""A hunt of independent samples, cut into parts for a cluster: each is a hunt by itself, and they add up to the whole.

How long a part is follows from what was measured: one process hands out all parts and takes in all results, so with
more workers parts must be longer, or that process could not keep up (docs/scale.md has the arithmetic). At the end
they become shorter, so that all workers end together.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from lab.analysis.tally import HuntResult
from lab.errors import LabError, UsageError
from lab.schedulers import SCHEDULERS
from lab.schedulers.course import Samples
from lab.search.cluster.cluster import Cluster
from lab.search.hunt import INTERRUPTED
from lab.search.job import Job
from lab.search.workers import JobResult

if TYPE_CHECKING:
    from lab.search.kept.keeping import Keeping

__all__ = ["Parts", "can_be_cut", "hunt_in_parts"]

SHORTEST_SECONDS = 0.25
"""How long a part takes at least: its way there and back, and what it learns in the beginning, are little beside it."""
OWNER_SECONDS = 0.004
"""What a part costs the processes here, that of the lab and the one beside it: `bench/scale.py` measures both."""
OWNER_SHARE = 0.5
"""Which share of its time the busier of them may spend, so that no worker waits for it."""
FIRST_PART = 4
"""Executions in a part while nothing is known of their time."""
TAKES = 4
"""How many parts each worker is to have of what is left."""


def can_be_cut(job: Job) -> bool:
    """Whether any part of the search can be made by itself."""
    cls = SCHEDULERS[job.scheduler]
    return issubclass(cls, Samples) and cls.prologue is not None


class Parts:
    """The parts of a job, made as they are asked for. `slots`: how many are done at once."""

    def __init__(self, job: Job, slots: Callable[[], int], total: HuntResult) -> None:
        self._job, self._slots, self._total = job, slots, total
        self._spent, self._executions = 0.0, 0

    def measured(self, result: HuntResult) -> None:
        """What a part took; one with a failure took time to minimise it as well."""
        if not result.failures:
            self._spent += result.seconds
            self._executions += result.executions

    def length(self, left: int) -> int:
        """How many executions the next part has, of those that are left."""
        slots = max(1, self._slots())
        fair = -(-left // (TAKES * slots))
        if not self._executions or not self._spent:
            return max(1, min(FIRST_PART, fair))
        seconds = max(SHORTEST_SECONDS, slots * OWNER_SECONDS / OWNER_SHARE)
        return max(1, min(fair, int(seconds * self._executions / self._spent)))

    def __iter__(self) -> Iterator[Job]:
        """Each gets the known violations and the time that is left."""
        job, started = self._job, time.monotonic() - self._total.seconds
        first, last = job.first, job.first + job.executions
        prologue = SCHEDULERS[job.scheduler].prologue or 0
        while first < last:
            left = None if job.seconds is None else job.seconds - (time.monotonic() - started)
            if left is not None and left <= 0:
                return
            length = min(max(self.length(last - first), prologue if first == job.first else 1), last - first)
            known = tuple(failure.key for failure in self._total.failures)
            whole = job.total or job.executions
            yield replace(job, first=first, executions=length, total=whole, known=known, seconds=left)
            first += length


async def hunt_in_parts(
    cluster: Cluster, job: Job, progress: Callable[[HuntResult], None], keeping: Keeping | None = None
) -> HuntResult:
    """Hunt on a cluster. Raises `LabError` where that came to nothing; else it is the trouble of what was found.

    `keeping`: where it is written down, and where a hunt that goes on was.
    """
    total = keeping.resumed.result if keeping and keeping.resumed else HuntResult(job.target, job.seed)
    started = time.monotonic() - total.seconds
    parts = Parts(job, lambda: cluster.slots, total)
    waiting: dict[int, HuntResult] = {}
    ends: dict[int, int] = {}
    added = 0
    try:
        async with contextlib.aclosing(cluster.perform(parts)) as done:
            async for index, answer in done:
                waiting[index] = _unwrapped(answer, total)
                ends[index] = answer.job.first + answer.job.executions
                parts.measured(waiting[index])
                # Parts are added in order, so that the first violation is the same one for any number of workers.
                while added in waiting:
                    total.add(waiting.pop(added))
                    total.seconds = time.monotonic() - started
                    if keeping is not None:
                        _written(keeping, total, ends.pop(added))
                    added += 1
                    progress(total)
                    if total.trouble not in ("", INTERRUPTED) or (total.failures and not job.keep_going):
                        return total
    except asyncio.CancelledError:
        total.trouble = INTERRUPTED
    except LabError as error:
        if not total.executions and not waiting:
            raise
        total.trouble = str(error)
    finally:
        if total.trouble:
            for index in sorted(waiting):
                total.add(waiting[index])
        total.seconds = time.monotonic() - started
    return total


def _written(keeping: Keeping, total: HuntResult, number: int) -> None:
    """All before this number is added; where a part was broken off, that is not so."""
    for failure in total.failures:
        keeping.met(failure)
    if not total.trouble:
        keeping.reached(number, total)


def _unwrapped(answer: JobResult, found: HuntResult) -> HuntResult:
    """A wrong use is raised, unless that would hide a violation that was found before."""
    if answer.exit_status == UsageError.exit_status and not found.failures:
        raise UsageError(answer.error)
    return answer.result
